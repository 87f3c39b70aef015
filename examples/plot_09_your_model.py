"""
How do I measure a model of my own?
===================================

Copy this script and put your model in. All that is asked of it is ``fit`` and
``predict``; it may be a regressor or a classifier, of any library, and there may be one
or many. To begin with, two regressors stand here, one of torch and one of scikit-learn.
Held fixed: data, layers, optimiser, mini-batches, epochs and threads.
"""

# sphinx_gallery_tags = ["time", "your model"]

import warnings
from copy import deepcopy

import torch
from sklearn.neural_network import MLPRegressor

from mlperf import accuracy, claim, generate_samples, headline, measure, operators
from mlperf import publish, seconds
from mlperf.protocol import TIMED, UNTIMED, by_mode

# %%
# Your data. Arrays of your own become samples by ``split(X, y)`` from ``mlperf``: 60 %
# for training, and 20 % each for validation and test.

SAMPLES = generate_samples(by_mode(published=1_000, quick=500))

# %%
# Your models: any number of them, by the name that they are to be called.

EPOCHS = by_mode(published=20, quick=5)


class TorchModel:
    def fit(self, X, y):
        torch.manual_seed(0)
        X = torch.as_tensor(X, dtype=torch.float32)
        y = torch.as_tensor(y, dtype=torch.float32)
        self.module = torch.nn.Sequential(
            torch.nn.Linear(X.shape[1], 32), torch.nn.ReLU(), torch.nn.Linear(32, 1)
        )
        optimizer = torch.optim.Adam(self.module.parameters(), lr=0.01)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(X)).split(64):
                optimizer.zero_grad()
                loss = torch.nn.functional.mse_loss(self.module(X[rows])[:, 0], y[rows])
                loss.backward()
                optimizer.step()
        return self

    def predict(self, X):
        with torch.inference_mode():
            return self.module(torch.as_tensor(X, dtype=torch.float32))[:, 0].numpy()


sklearn_model = MLPRegressor(
    hidden_layer_sizes=(32,),
    learning_rate_init=0.01,
    batch_size=64,
    alpha=0,
    max_iter=EPOCHS,
    n_iter_no_change=EPOCHS,
    tol=0,
    random_state=0,
)
MODELS = {"torch": TorchModel(), "scikit-learn": sklearn_model}

# %%
# These are all the lines that a copy has to edit. Every fit gets a fresh copy of the
# model, so that no repeat continues where the last one stopped.


def fresh(model):
    # scikit-learn warns where the fixed number of epochs ends before convergence.
    warnings.filterwarnings("ignore", "Stochastic Optimizer")
    return deepcopy(model)


# %%
# One run: how long do a fit and a prediction of the test split take?


def run(model):
    model = fresh(model)
    fit_seconds = seconds(lambda: model.fit(SAMPLES.Xtr, SAMPLES.ytr))
    predict_seconds = seconds(lambda: model.predict(SAMPLES.Xte))
    return {"fit_seconds": fit_seconds, "predict_seconds": predict_seconds}


# %%
# Each round has a fresh process, in which all models take turns in random order, after
# a warm-up that does not count.

runs = measure(run, **TIMED, model=MODELS)
fit = runs["fit_seconds"]
predict = runs["predict_seconds"]
fit

# %%
# And the prediction:

predict

# %%
# How good are they? Mean squared error and R2 for regressors, the share of right
# answers for classifiers, with intervals over the rows of each split. No time is
# measured here, so that one run of each model is enough.


def score(model):
    model = fresh(model)
    model.fit(SAMPLES.Xtr, SAMPLES.ytr)
    return accuracy(model, SAMPLES)


scores = measure(score, **UNTIMED, model=MODELS)
scores

# %%
# Which operators take the time? Of a model that does not compute with torch, torch's
# profiler sees none. The largest times come first, model by model.


def profile(model):
    model = fresh(model)
    return operators(lambda: model.fit(SAMPLES.Xtr, SAMPLES.ytr))


profiles = measure(profile, processes=1, fresh="round", warmup=False, model=MODELS)
profiles

# %%
# The figure shows medians, whiskers for their 95 % intervals, and a dot for each run.

axes = fit.plot(x="model")
headline(axes, f"{fit.idxmax()} takes longest to fit: {fit[fit.idxmax()]:short}")

# %%
# A claim says something that can be wrong, and the measurement decides. Here: that the
# first model is fitted faster than any other.

first, *others = MODELS
claims = {}
for other in others:
    ratio = fit[first] / fit[other]
    claims[f"faster_than_{other}"] = claim(
        f"A fit of {first} is faster than one of {other}.",
        ratio < 1,
        otherwise=f"A fit of {first} is not faster than one of {other}.",
        seen=f"it takes {ratio} as long",
    )

# %%
# Results go to the folder named by ``MLPERF_RESULTS``, else to ``results`` in the
# folder where the script was started.

publish(
    "your_model",
    runs=runs,
    fit=fit,
    predict=predict,
    scores=scores,
    operators=profiles,
    times=axes,
    **claims,
)
