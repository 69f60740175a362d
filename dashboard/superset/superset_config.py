"""How Superset runs beside a home: on this machine only, reading what is published.

SUPERSET_HOME names its folder. Belongs here: Superset's settings, by its own names. Does not belong
here: dashboards (the YAML beside this), putting them into Superset (make_ready).
"""

import os
import secrets
from pathlib import Path

_home = Path(os.environ["SUPERSET_HOME"])


def _secret() -> str:
    """Made on first use; it stays in Superset's folder."""
    path = _home / "secret_key"
    if not path.exists():
        _home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48), encoding="utf-8")
    return path.read_text(encoding="utf-8")


SECRET_KEY = _secret()
# What Superset itself remembers: who uses it, the dashboards put into it.
SQLALCHEMY_DATABASE_URI = f"sqlite:///{_home.resolve()}/superset.db?check_same_thread=false"
# No result is kept: a question after a publish reads what was just published.
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
# Nothing is loaded from elsewhere: Superset's pages have a pixel that counts users built in.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}
# Whoever sits at this machine may look at the dashboards, and only look: no SQL, no change.
PUBLIC_ROLE_LIKE = "Public"
