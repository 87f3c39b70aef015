"""
How fast is a prediction?
=========================

A trained network predicts one row, a thousand and far more. Varied: who predicts (this
package's estimator, scikit-learn's with the same layers, and plain torch as its users
write it), the model, and the number of rows. Held fixed: one thread, float64 input,
predictions in the units of the target. Both estimators also check what they are given;
plain torch does not. scikit-learn computes on the CPU, whatever the device.
"""

# sphinx_gallery_tags = ["time", "engines"]

import warnings
from functools import partial

import pandas as pd
import torch
from sklearn.neural_network import MLPRegressor as ScikitLearnRegressor

from mlperf import MLPRegressor, claim, generate_samples, headline, measure, publish
from mlperf import seconds_per_call
from mlperf.protocol import DEVICE, MODELS, by_mode

TIMES = by_mode(
    published={"processes": 6, "repeats": 1, "fresh": "round"},
    quick={"processes": 1, "repeats": 2},
)
ROWS = by_mode(published=[1, 1_000, 200_000], quick=[1, 1_000, 20_000])

# %%
# Plain torch does what has to be done to get the same numbers: standardise, run the
# module, undo the target's scale.


def plain_torch(module, X, y):
    center = torch.tensor(X.mean(axis=0), dtype=torch.float32)
    scale = torch.tensor(X.std(axis=0), dtype=torch.float32)
    shift = float(y.mean())
    spread = float(y.std())

    @torch.inference_mode()
    def predict(X):
        standard = (torch.as_tensor(X, dtype=torch.float32) - center) / scale
        return (module(standard.to(DEVICE))[:, 0] * spread + shift).cpu().numpy()

    return predict


# %%
# One run: all three predict the same rows, in turn, so that what disturbs one disturbs
# all. How well they are trained does not matter to the time: one epoch has to do.


def run(model):
    warnings.filterwarnings("ignore", "Stochastic Optimizer")  # it has not converged
    few = generate_samples(1_000)
    ours = MLPRegressor(model, max_iter=1, engine="fused", device=DEVICE)
    ours.fit(few.Xtr, few.ytr)
    theirs = ScikitLearnRegressor(hidden_layer_sizes=model, max_iter=1)
    theirs.fit(few.Xtr, few.ytr)
    predictors = {
        "this package": ours.predict,
        "scikit-learn": theirs.predict,
        "plain torch": plain_torch(ours.module_, few.Xtr, few.ytr),
    }
    X = generate_samples(max(ROWS)).X
    times = {}
    for n_rows in ROWS:
        for who, predict in predictors.items():
            times[n_rows, who] = seconds_per_call(partial(predict, X[:n_rows]))
    return pd.DataFrame({"seconds": times}).rename_axis(["n_rows", "who"])


runs = measure(run, **TIMES, warmup=False, model=MODELS)
prediction = runs["seconds"]
prediction

# %%
# Large dots are medians, whiskers their 95 % intervals, and small dots the single runs.

panels = prediction.plot(
    x="who", by="model", panels="n_rows", kind="dot", log=True, sharey=False
)
ours = prediction.at(who="this package")
scikit_learn = prediction.at(who="scikit-learn") / ours
headline(panels, f"scikit-learn takes {scikit_learn:short} as long as this package")

# %%
# How many times as long as this package does scikit-learn take? Ratios are taken within
# a process, call beside call.

scikit_learn

# %%
# And plain torch?

torch_alone = prediction.at(who="plain torch") / ours
torch_alone

# %%
# Both put to the test.

many_rows = torch_alone[:, ROWS[1:]]
claims = {
    "scikit_learn": claim(
        "This package predicts faster than scikit-learn.",
        scikit_learn > 1,
        otherwise="This package does not always predict faster than scikit-learn.",
        seen=f"scikit-learn takes {scikit_learn} as long",
    ),
    "torch": claim(
        "From a thousand rows on, plain torch saves at most a tenth of the time of "
        "this package's estimator.",
        many_rows > 0.9,
        otherwise="Even from a thousand rows on, plain torch can save more than a "
        "tenth of the time of this package's estimator.",
        seen=f"it takes {many_rows} as long",
    ),
}

# %%
# The report takes everything from the results folder.

publish(
    "prediction",
    runs=runs,
    prediction=prediction,
    scikit_learn_ratio=scikit_learn,
    torch_ratio=torch_alone,
    times=panels,
    **claims,
)
