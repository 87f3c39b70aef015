"""
How do I measure a model of my own?
===================================

The report's measurements ask of a model only ``fit`` and ``predict``. Here they are put to two that are not the
report's: a plain class around a torch module, and scikit-learn's regressor of the same kind. Start from a copy of this
script: put your model into ``MODELS`` and your data into ``run``. Held fixed: data, hidden layers, optimiser, batches,
epochs and threads.
"""

import warnings

import matplotlib.pyplot as plt
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from mlperf.accuracy import accuracy
from mlperf.data import generate_samples
from mlperf.findings import check, judge
from mlperf.measure import measure
from mlperf.operators import operators
from mlperf.protocol import by_mode
from mlperf.results import publish
from mlperf.stats import ratio, summarise
from mlperf.timing import seconds
from mlperf.units import factor

plt.style.use("mlperf.mlperf")

# %%
# Settings: what a copy has to edit. The torch model is as plain as can be; any class with ``fit`` and ``predict`` does.

N_SAMPLES = by_mode(published=1_000, quick=500)
EPOCHS = by_mode(published=100, quick=5)


class TorchModel:
    def fit(self, X, y):
        torch.manual_seed(0)
        X, y = torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y, dtype=torch.float32)
        self.module = torch.nn.Sequential(torch.nn.Linear(X.shape[1], 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
        optimizer = torch.optim.Adam(self.module.parameters(), lr=0.01)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(X)).split(64):
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(self.module(X[rows])[:, 0], y[rows]).backward()
                optimizer.step()
        return self

    def predict(self, X):
        with torch.inference_mode():
            return self.module(torch.as_tensor(X, dtype=torch.float32))[:, 0].numpy()


sklearn_model = MLPRegressor(hidden_layer_sizes=(32,), learning_rate_init=0.01, batch_size=64, alpha=0, random_state=0)
sklearn_model.set_params(max_iter=EPOCHS, n_iter_no_change=EPOCHS, tol=0)
MODELS = {"torch": TorchModel(), "scikit-learn": sklearn_model}

# %%
# One run: time a fit and a prediction, then judge the result on every split.


def run(model):
    warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are fixed, converged or not
    samples = generate_samples(N_SAMPLES)
    fit_seconds = seconds(lambda: model.fit(samples.Xtr, samples.ytr))
    predict_seconds = seconds(lambda: model.predict(samples.Xte))
    test = accuracy(model, samples).set_index("split").loc["test"]
    return {"fit_seconds": fit_seconds, "predict_seconds": predict_seconds, "test_mse": test.mse, "test_r2": test.r2}


runs = measure(run, repeats=by_mode(published=10, quick=3), processes=by_mode(published=5, quick=1), model=MODELS)
summary = runs.groupby("model", sort=False)[["fit_seconds", "predict_seconds", "test_mse", "test_r2"]].median()
summary

# %%
# The operators of a model that computes with torch. (What scikit-learn does, torch's profiler cannot see.)

samples = generate_samples(N_SAMPLES)
profile = measure(lambda: operators(lambda: TorchModel().fit(samples.Xtr, samples.ytr)), repeats=1, warmup=False)
profile = profile.drop(columns=["process", "repeat"])
profile.head(8)

# %%
# Medians, 95 % intervals and every single run.

figure, panels = plt.subplots(1, 2)
for axes, column, title in zip(
    panels, ["fit_seconds", "predict_seconds"], ["One fit (s)", "One prediction (s)"], strict=True
):
    times = summarise(runs, by=["model"], value=column)
    axes.errorbar(times.model, times["median"], [times["median"] - times.low, times.high - times["median"]], fmt="o")
    axes.plot(runs.model, runs[column], ".", color="grey", zorder=1)
    axes.set(title=title, ylim=(0, None))
    axes.margins(x=0.4)
quicker = summary.fit_seconds.idxmin()
figure.suptitle(f"{quicker} fits in {summary.fit_seconds.min() / summary.fit_seconds.max():.0%} of the other's time")

# %%
# A finding says something that can be wrong, and the measurement decides.

of = dict(list(runs.groupby("model")))
fits = ratio(
    of["torch"].fit_seconds, of["scikit-learn"].fit_seconds, groups=(of["torch"].process, of["scikit-learn"].process)
)
findings = {
    "torch_fits_faster": judge(
        "For so small a model, plain torch fits faster than scikit-learn.",
        check("torch over scikit-learn", factor(fits), below=1),
    )
}
pd.DataFrame(findings.values())

# %%
# Results go to the folder named by ``MLPERF_RESULTS``, else to ``results`` beside where the script was started.

publish(
    "your_model",
    tables={"runs": runs, "operators": profile, "summary": summary.reset_index()},
    values={"torch_to_sklearn": factor(fits)},
    findings=findings,
    figures={"times": figure},
)
