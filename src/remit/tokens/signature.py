"""Whether a key made a token's signature (rule)."""

from __future__ import annotations

import jwt

from remit.credential import UnverifiedToken
from remit.errors import SignatureInvalid
from remit.tokens.parse import decode_part


def verify_signature(token: UnverifiedToken, key: jwt.PyJWK, alg: str) -> None:
    """Raise ``SignatureInvalid`` unless ``key`` made the signature of a token that ``parse`` has read.

    PyJWT's part is the primitive alone: the text was read once, strictly, and is not read a second time.
    """
    signed, _, signature = token.reveal().rpartition(".")  # the primitive wants the text; it keeps nothing of it
    algorithm = key.Algorithm
    try:
        fits = key.algorithm_name == alg and algorithm.check_key_length(key.key) is None
        genuine = fits and algorithm.verify(signed.encode("ascii"), key.key, decode_part(signature))
    except jwt.PyJWTError as error:
        raise SignatureInvalid("token signature is not valid", detail=type(error).__name__) from error
    if not genuine:
        raise SignatureInvalid("token signature is not valid", detail="" if fits else "the key does not fit")
