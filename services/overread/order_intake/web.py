"""Orders over HTTP, behind the front: plain JSON, and FHIR."""

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.order_intake import problems
from overread.order_intake.callers import AUDIENCE, PLACERS
from overread.order_intake.fhir_api import FhirApi
from overread.order_intake.intake import Intake
from overread.order_intake.json_api import JsonApi
from overread.order_intake.settings import OrderIntakeSettings
from overread.protocols.fhir.service_request import Names
from overread.runtime.passes import visitor_with
from overread.runtime.service import Service


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
    return app


async def _refused(_: Request, error: Exception) -> JSONResponse:
    return problems.answer(error if isinstance(error, OverreadError) else OverreadError())
