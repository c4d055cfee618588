"""A language model at the controls of the router: python e3_live_llm.py [n_requests] [episodes]

With EDGE_GYM_LLM_BASE_URL and EDGE_GYM_LLM_MODEL (and EDGE_GYM_LLM_API_KEY where one is needed) it asks that endpoint.
Without, a stand-in answers that reads the prompt with the shipped parser, so that it runs anywhere.
"""

import dataclasses
import os
import sys

import rich
from edge_baselines.e3.llm import E3Llm
from edge_baselines.e3.llm_settings import from_env
from edge_baselines.e3.stand_in import stand_in
from edge_baselines.llm.stub.in_process import InProcess

import edge_gym

n_requests = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
episodes = int(sys.argv[2]) if len(sys.argv) > 2 else 5

ask, llm = from_env()
client = None  # the endpoint of the settings
if not os.environ.get("EDGE_GYM_LLM_BASE_URL"):
    llm = dataclasses.replace(llm, model="stand-in", price_in=0.0, price_out=0.0)
    client = InProcess(stand_in(), latency_s=0.5)
    print("No endpoint is set: a stand-in answers, half a second after each question.")
policy = E3Llm(dataclasses.replace(ask, mode="live"), llm, client)
policy.name = "e3_llm"

results = edge_gym.evaluate(
    ["e3_fast", "e3_rules", policy, "oracle"],
    "routing",
    "semantic",
    range(1000, 1000 + episodes),
    n_requests=n_requests,
)
rich.print(results.table())
(row,) = [row["metrics"] for row in results.summary()["rows"] if row["policy"] == "e3_llm"]
print(
    f"{row['llm.decisions']['mean']:.1f} questions, {row['llm.plans']['mean']:.1f} plans, "
    f"{row['llm.thinking_s']['mean']:.1f} s of thinking and {row['llm.dollars']['mean']:.4f} dollars an episode"
)
