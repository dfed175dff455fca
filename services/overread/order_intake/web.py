"""Orders over HTTP, behind the front: plain JSON, and FHIR."""

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.order_intake import fhir_api, problems
from overread.order_intake.callers import AUDIENCE, PLACERS
from overread.order_intake.fhir_api import FhirApi
from overread.order_intake.intake import Intake
from overread.order_intake.json_api import JsonApi
from overread.order_intake.settings import OrderIntakeSettings
from overread.protocols.fhir.service_request import Names
from overread.runtime.passes import visitor_with
from overread.runtime.service import Service

_FHIR_DOES = (
    "Orders are sent by POST or PUT to /fhir/ServiceRequest, or in a Bundle by POST to /fhir; nothing can be read here."
)
_JSON_DOES = "Orders are sent by POST to /api/v1/orders; nothing can be read here."


def build(service: Service, settings: OrderIntakeSettings, secret: bytes, intake: Intake) -> FastAPI:
    """Return the app; it is reached through the front alone, which knows `secret` too."""
    app = FastAPI(title="Overread orders", openapi_url=None, docs_url=None, redoc_url=None)
    admitted = visitor_with(PLACERS, audience=AUDIENCE, secret=secret, site_id=settings.site_id, clock=service.clock)

    def admit(request: Request) -> None:
        request.state.visitor = admitted(request)

    router = APIRouter(dependencies=[Depends(admit)])
    names = Names(systems=settings.fhir_identifier_systems, time_zone=settings.time_zone)
    JsonApi(intake).add_to(router)
    FhirApi(intake, settings.site_id, names).add_to(router)
    app.include_router(router)
    for refusal in (problems.Refused, Malformed, Unavailable):
        app.add_exception_handler(refusal, _refused)
    app.add_exception_handler(HTTPException, _http)
    return app


async def _http(request: Request, error: Exception) -> JSONResponse:
    """Answer for a pass that is missing, and for a route or method that is not there, in the words of who asked."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    is_fhir = request.url.path.startswith("/fhir")
    sentence = str(error.detail) if isinstance(error, HTTPException) else ""
    if status in (404, 405):
        sentence = _FHIR_DOES if is_fhir else _JSON_DOES
    refused = problems.Refused(status, "http", sentence, "See docs/orders.md for what there is.")
    answer = fhir_api.refusal(refused) if is_fhir else problems.answer(refused)
    answer.headers.update((error.headers or {}) if isinstance(error, HTTPException) else {})
    return answer


async def _refused(_: Request, error: Exception) -> JSONResponse:
    return problems.answer(error if isinstance(error, OverreadError) else OverreadError())
