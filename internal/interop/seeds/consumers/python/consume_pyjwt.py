"""PyJWT: the keys are where the issuer's metadata say."""

import functools

import jwt

from cases import judge, metadata


@functools.cache
def keys_of(issuer):
    return jwt.PyJWKClient(metadata(issuer)["jwks_uri"])


def verify(case):
    return jwt.decode(
        case["token"],
        keys_of(case["issuer"]).get_signing_key_from_jwt(case["token"]).key,
        algorithms=[case["algorithm"]],
        issuer=case["issuer"],
        audience=case["audience"],
        options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]},
    )


judge(
    verify,
    {
        jwt.InvalidSignatureError: "signature",
        jwt.ExpiredSignatureError: "expired",
        jwt.InvalidIssuerError: "issuer",
        jwt.InvalidAudienceError: "audience",
    },
)
