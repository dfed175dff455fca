"""The embedded issuer's sign-in page: a form and nothing else, in three languages."""

from collections.abc import Mapping, Sequence
from html import escape

from overread.review.users import User

LANGUAGES = ("vi", "en", "fr")

TEXTS: Mapping[str, Mapping[str, str]] = {
    "vi": {
        "title": "Đăng nhập",
        "username": "Tên đăng nhập",
        "password": "Mật khẩu",
        "sign_in": "Đăng nhập",
        "demo": "Bản trình diễn: chọn người dùng, không cần mật khẩu. Không dùng cho bệnh nhân thật.",
        "wrong": "Tên đăng nhập hoặc mật khẩu không đúng.",
        "too_many": "Quá nhiều lần đăng nhập sai. Hãy thử lại sau vài phút.",
        "bad_request": "Yêu cầu đăng nhập không hợp lệ. Hãy mở lại trang Overread và đăng nhập lại.",
    },
    "en": {
        "title": "Sign in",
        "username": "User name",
        "password": "Password",
        "sign_in": "Sign in",
        "demo": "Demonstration: choose a user, no password is asked. Not for real patients.",
        "wrong": "User name or password is wrong.",
        "too_many": "Too many failed sign-ins. Try again in a few minutes.",
        "bad_request": "This sign-in request is not valid. Open the Overread page again and sign in from there.",
    },
    "fr": {
        "title": "Connexion",
        "username": "Identifiant",
        "password": "Mot de passe",
        "sign_in": "Se connecter",
        "demo": "Démonstration : choisissez un utilisateur, sans mot de passe. Pas pour de vrais patients.",
        "wrong": "Identifiant ou mot de passe incorrect.",
        "too_many": "Trop d'échecs de connexion. Réessayez dans quelques minutes.",
        "bad_request": "Cette demande de connexion n'est pas valable. Rouvrez la page Overread et connectez-vous de là.",
    },
}

STYLE = """\
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;background:#0e1318;color:#e6ebf0;
font:16px/1.5 system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{width:22rem;max-width:calc(100vw - 2rem);padding:2rem;background:#161d24;border:1px solid #2b3742;border-radius:10px}
h1{margin:0 0 .25rem;font-size:1.35rem;font-weight:600}
.site{margin:0 0 1.5rem;color:#a9b6c2;font-size:.9rem}
label{display:block;margin:0 0 1rem;font-size:.9rem;color:#c4ced8}
input{display:block;width:100%;margin-top:.3rem;padding:.6rem .7rem;font:inherit;color:#fff;background:#0e1318;
border:1px solid #5b6b7a;border-radius:6px}
button{display:block;width:100%;margin:.6rem 0 0;padding:.65rem .9rem;font:inherit;font-weight:600;color:#06131f;
background:#7cc4ff;border:1px solid #7cc4ff;border-radius:6px;cursor:pointer;text-align:left}
button#sign-in{text-align:center;margin-top:1.4rem}
button span{display:block;font-weight:400;font-size:.85rem}
button:hover{background:#a5d7ff}
:focus-visible{outline:3px solid #ffd27a;outline-offset:2px}
.fault{margin:0 0 1rem;padding:.6rem .7rem;background:#3a1d20;border:1px solid #a35a60;border-radius:6px;color:#ffd9dc}
.demo{margin:0 0 1rem;padding:.6rem .7rem;background:#33290f;border:1px solid #8c7430;border-radius:6px;color:#ffe7b0}
"""


def language_of(wanted: str, accept_language: str, fallback: str) -> str:
    """Return the page's language: the one asked for, else the browser's first that we speak, else the site's."""
    tags = [wanted, *(part.partition(";")[0] for part in accept_language.split(","))]
    spoken = (tag.strip().lower()[:2] for tag in tags)
    return next((language for language in spoken if language in LANGUAGES), fallback)


def sign_in_page(
    fields: Mapping[str, str], *, language: str, site_id: str, demo_users: Sequence[User] = (), fault: str = ""
) -> str:
    """Return the page; `fields` go back with the form as they came, `fault` names the text of what went wrong."""
    texts = TEXTS[language]
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    form = _demo_buttons(demo_users, texts) if demo_users else _password_fields(texts)
    body = f'<form method="post" action="/issuer/authorize">{hidden}{_fault(fault, texts)}{form}</form>'
    return _page(language, site_id, texts["title"], body)


def refusal_page(*, language: str, site_id: str) -> str:
    """Return the page for a request that is not our own page's."""
    texts = TEXTS[language]
    return _page(language, site_id, texts["title"], _fault("bad_request", texts))


def _page(language: str, site_id: str, title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title} · Overread</title>'
        f'<link rel="stylesheet" href="/issuer/sign-in.css"></head><body><main><h1>Overread</h1>'
        f'<p class="site">{title} · {escape(site_id)}</p>{body}</main></body></html>'
    )


def _fault(fault: str, texts: Mapping[str, str]) -> str:
    return f'<p class="fault" role="alert">{texts[fault]}</p>' if fault else ""


def _password_fields(texts: Mapping[str, str]) -> str:
    return (
        f'<label for="username">{texts["username"]}'
        '<input id="username" name="username" autocomplete="username" maxlength="64" required autofocus></label>'
        f'<label for="password">{texts["password"]}'
        '<input id="password" name="password" type="password" autocomplete="current-password" maxlength="256" required>'
        f'</label><button id="sign-in">{texts["sign_in"]}</button>'
    )


def _demo_buttons(users: Sequence[User], texts: Mapping[str, str]) -> str:
    buttons = "".join(
        f'<button name="username" value="{escape(user.username)}">{escape(f"{user.family_name} {user.given_name}")}'
        f"<span>{escape(user.username)} · {escape(', '.join(user.roles))}</span></button>"
        for user in users
    )
    return f'<p class="demo">{texts["demo"]}</p>{buttons}'
