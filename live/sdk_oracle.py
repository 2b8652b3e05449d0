"""The calls of one training step, made by the official SDK (tinker 0.24.1).

    python sdk_oracle.py URL KEY BASE_MODEL STEP.json

STEP.json holds datums, adam parameters, a prompt and sampling parameters; whoever listens at URL records what is sent.
"""

import json
import sys

import tinker
from tinker import types


def tensor(value: dict) -> types.TensorData:
    return types.TensorData(data=value["data"], dtype=value["dtype"], shape=value["shape"])


def datums(values: list) -> list:
    return [
        types.Datum(
            model_input=types.ModelInput.from_ints(datum["model_input"]["chunks"][0]["tokens"]),
            loss_fn_inputs={name: tensor(value) for name, value in datum["loss_fn_inputs"].items()},
        )
        for datum in values
    ]


def main(url: str, key: str, base_model: str, file: str) -> None:
    with open(file) as handle:
        step = json.load(handle)
    service = tinker.ServiceClient(base_url=url, api_key=key)
    client = service.create_lora_training_client(
        base_model=base_model, rank=step["rank"], seed=step["seed"], train_unembed=False
    )
    client.forward(datums(step["forward"]), "cross_entropy").result()
    backward = client.forward_backward(datums(step["backward"]), "importance_sampling")
    stepped = client.optim_step(types.AdamParams(**step["adam"]))
    backward.result()
    stepped.result()
    saved = client.save_state(step["name"]).result()
    sampler = client.save_weights_and_get_sampling_client()
    prompt = types.ModelInput.from_ints(step["prompt"])
    sampler.sample(
        prompt=prompt, num_samples=1, sampling_params=types.SamplingParams(**step["sampling"])
    ).result()
    client.load_state_with_optimizer(saved.path).result()
    print("DONE", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
