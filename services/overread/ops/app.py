"""What an operator looks at, behind the HTTP front: how topics flow, who is healthy, what was set aside."""

from overread.archive.queries import ArchiveQueries
from overread.ops.settings import OpsSettings
from overread.ops.web import build
from overread.runtime.flow import FlowReader
from overread.runtime.health import serve_on_socket
from overread.runtime.service import Service


def make_service(settings: OpsSettings) -> Service:
    """Wire ops; nothing is opened until the service runs."""
    service = Service("ops", settings)
    archive = ArchiveQueries(settings.archive_dsn.get_secret_value(), settings.site_id)
    flow = FlowReader(settings)
    app = build(service, settings, flow, archive)

    async def serve_http() -> None:
        try:
            await serve_on_socket(app, settings.http_socket)
        finally:
            await flow.close()

    service.runs(serve_http)
    return service


def main() -> None:
    """Run ops until it is told to stop."""
    make_service(OpsSettings()).run()
