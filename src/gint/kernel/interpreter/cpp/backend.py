"""The `cpp` backend."""

from __future__ import annotations

from gint.host.backends import Capabilities, Probe
from gint.program import VerifiedProgram


class CppBackend:
    name = "cpp"
    device = "cpu"
    capabilities = Capabilities()

    def probe(self) -> Probe:
        return Probe(False, "not built")

    def load(self, verified: VerifiedProgram):
        raise NotImplementedError


BACKEND = CppBackend()
