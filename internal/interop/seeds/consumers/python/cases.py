"""What the consumers share: they read cases from a file, and print what became of each."""

import json
import sys
import urllib.request


def get(url):
    """JSON from an address; through HTTPS_PROXY, if that is set."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


def metadata(issuer):
    found = get(issuer + "/.well-known/openid-configuration")
    if found["issuer"] != issuer:
        raise RuntimeError("these are metadata of another issuer")
    return found


def judge(verify, reasons):
    """verify returns the claims of a case, or raises; reasons are words by exceptions, or functions of them."""
    verdicts = {}
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    for case in cases:
        try:
            verdicts[case["name"]] = "accepted " + verify(case)["sub"]
        except tuple(reasons) as err:
            word = next(w for kind, w in reasons.items() if isinstance(err, kind))
            verdicts[case["name"]] = word(err) if callable(word) else word
    json.dump(verdicts, sys.stdout)
