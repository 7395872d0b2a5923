"""A visitor of the demo site: one browser's worth of cookies, and the errands it runs."""

import json
import random
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.cookiejar import CookieJar

SLUGS = ["a-day-in-the-life-of-a-request", "who-set-this-header", "letters-from-the-event-loop", "on-the-way-out"]
WORDS = ["the", "ring", "layer", "answer", "view", "cookie", "loop"]


class Visitor:
    """Sends requests to the site at ``base`` (no slash at its end). Every answer is fine with it, whatever its status."""

    def __init__(self, base: str, chance: random.Random) -> None:
        self.base = base
        self.chance = chance
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)
        )
        self._opener.addheaders = [("User-Agent", "demo-visitor"), ("Accept-Language", "en")]

    def get(self, path: str) -> int:
        """GET ``path`` and read all of it; the status of the answer. Raises ``OSError`` when nobody answers."""
        return self._send(urllib.request.Request(self.base + path))

    def post(self, path: str, fields: dict[str, str]) -> int:
        """POST a form, with the CSRF token of the cookie."""
        token = next((cookie.value or "" for cookie in self.cookies if cookie.name == "csrftoken"), "")
        body = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        return self._send(urllib.request.Request(self.base + path, data=body, headers={"Referer": self.base + path}))

    def post_json(self, path: str, value: object) -> int:
        """POST JSON."""
        headers = {"Content-Type": "application/json"}
        return self._send(urllib.request.Request(self.base + path, data=json.dumps(value).encode(), headers=headers))

    def _send(self, request: urllib.request.Request) -> int:
        try:
            with self._opener.open(request, timeout=30) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            with refusal:
                refusal.read()
                return refusal.code

    def log_in(self) -> int:
        """As ``reader``."""
        self.get("/login/")
        return self.post("/login/", {"username": "reader", "password": "reader"})

    def comment(self) -> int:
        """Read an article, and say something."""
        path = f"/articles/{self.chance.choice(SLUGS)}/"
        self.get(path)
        return self.post(f"{path}comment/", {"name": "Demo visitor", "text": "I was here."})

    def comment_by_api(self) -> int:
        """The same by the JSON API, sometimes wrongly."""
        said = {"name": "Demo visitor", "text": "By the API."} if self.chance.random() < 0.7 else {"name": "Nobody"}
        return self.post_json(f"/api/articles/{self.chance.choice(SLUGS)}/comments/", said)

    def run_errand(self) -> int:
        """One errand, chosen by chance: mostly reading, now and then something odd."""
        errands = self._errands()
        return self.chance.choices([errand for errand, _ in errands], [weight for _, weight in errands])[0]()

    def _errands(self) -> list[tuple[Callable[[], int], int]]:
        slug, word = self.chance.choice(SLUGS), self.chance.choice(WORDS)
        pages = {
            "/": 14,
            f"/?page={self.chance.randint(1, 4)}": 6,
            f"/articles/{slug}/": 14,
            "/authors/": 6,
            f"/search/?q={word}": 7,
            "/editions/2024/": 2,
            "/editions/1984/": 2,
            "/slow/": 3,
            "/digest/": 6,
            "/index.csv": 2,
            "/ticker/": 2,
            "/download/": 2,
            "/broken/": 2,
            "/unprinted/": 3,
            "/quota/": 2,
            "/health/": 4,
            "/nowhere/": 2,
            "/old/": 2,
            "/account/": 5,
            "/admin/": 2,
            "/api/articles/": 5,
            f"/api/articles/{slug}/": 5,
        }
        reading = [(self._reading(path), weight) for path, weight in pages.items()]
        return [*reading, (self.comment, 4), (self.comment_by_api, 3), (self.log_in, 2)]

    def _reading(self, path: str) -> Callable[[], int]:
        return lambda: self.get(path)
