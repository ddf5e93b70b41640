"""Authlib, whose JOSE is in joserfc: the keys are where the issuer's metadata say."""

import functools

import authlib  # noqa: F401  it must be one that goes with this joserfc
from joserfc import errors, jwt
from joserfc.jwk import KeySet

from cases import get, judge, metadata


@functools.cache
def keys_of(issuer):
    return KeySet.import_key_set(get(metadata(issuer)["jwks_uri"]))


def verify(case):
    token = jwt.decode(case["token"], keys_of(case["issuer"]), algorithms=[case["algorithm"]])
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": case["issuer"]},
        aud={"essential": True, "value": case["audience"]},
        exp={"essential": True},
        jti={"essential": True},
    ).validate(token.claims)
    return token.claims


judge(
    verify,
    {
        errors.BadSignatureError: "signature",
        errors.ExpiredTokenError: "expired",
        errors.InvalidClaimError: lambda err: {"iss": "issuer", "aud": "audience"}.get(err.claim, err.claim),
    },
)
