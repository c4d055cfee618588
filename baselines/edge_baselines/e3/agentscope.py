"""`e3_agentscope`: as `e3_llm`, with an AgentScope agent between the model and the tools."""

from __future__ import annotations

from edge_baselines.e3.llm import E3Llm
from edge_baselines.llm.agentscope_adapter import AgentScopeClient
from edge_baselines.llm.exchange import Asks
from edge_baselines.llm.extra import require_extra


class E3AgentScope(E3Llm):
    """An AgentScope 2.x agent at the controls. Needs the extra `agentscope` where a model is asked."""

    def preflight(self) -> None:
        """See `E3Llm.preflight`."""
        if self.ask.mode in ("record", "live"):
            require_extra(("agentscope",), "agentscope")
        super().preflight()

    def _client(self) -> Asks:
        return AgentScopeClient(super()._client(), self._tools())
