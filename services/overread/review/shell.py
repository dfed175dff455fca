"""The page itself: files built at release, open to everybody, since nothing in them is about a patient."""

from importlib import resources
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

_DIRECTIVES = (
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self' blob:",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)
CONTENT_SECURITY_POLICY = "; ".join(_DIRECTIVES)
"""Scripts are files of ours; the codecs are WebAssembly and run in workers; the viewer writes style attributes."""

_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
}
_NOT_THE_PAGE = ("api", "auth", "issuer", "dicom-web", "fhir", "metrics", "healthz", "readyz")
_IMMUTABLE = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


def page_folder() -> Path:
    """Return where the built page lies."""
    return Path(str(resources.files("overread.review") / "page"))


@router.get("/{path:path}")
async def shell(path: str) -> Response:
    """Return a file of the page; any other address of the page's own is the page's beginning."""
    found = file_of(path, page_folder())
    if found is None:
        raise HTTPException(404, "there is no such address")
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": _IMMUTABLE if path.startswith("assets/") else "no-cache",
    }
    return FileResponse(found, headers=headers, media_type=_MEDIA_TYPES[found.suffix])


def file_of(path: str, folder: Path) -> Path | None:
    """Return which file answers `path`: never one outside `folder`, never the page in place of a missing API."""
    first = path.partition("/")[0]
    if first in _NOT_THE_PAGE:
        return None
    if "." not in path.rpartition("/")[2] and first != "assets":
        return folder / "index.html"
    named = (folder / path).resolve()
    is_served = named.is_relative_to(folder.resolve()) and named.suffix in _MEDIA_TYPES and named.is_file()
    return named if is_served and not named.name.startswith(".") else None
