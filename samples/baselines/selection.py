"""Choosing a general method by cross-validation on a task's training data alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from samples.example import Floats

FOLDS = 3
TREES = 50
#: Wider descriptions are reduced to this many principal components first.
MOST_FEATURES = 100
_ALPHAS = (1.0, 10.0, 100.0, 1000.0, 10000.0)

Model = Any  # scikit-learn's estimators have no common type


def classifiers() -> list[Model]:
    """New classifiers to choose from."""
    return [
        make_pipeline(StandardScaler(), SVC(C=10.0, gamma="scale")),
        SVC(C=10.0, gamma="scale"),
        ExtraTreesClassifier(TREES, random_state=0),
        make_pipeline(StandardScaler(), RidgeClassifierCV(_ALPHAS)),
        KNeighborsClassifier(3, weights="distance"),
    ]


def regressors() -> list[Model]:
    """New regressors to choose from; each predicts one number or several."""
    return [
        make_pipeline(StandardScaler(), RidgeCV(_ALPHAS)),
        make_pipeline(StandardScaler(), KernelRidge(alpha=1.0, kernel="rbf")),
        ExtraTreesRegressor(TREES, random_state=0, min_samples_leaf=2),
        KNeighborsRegressor(5, weights="distance"),
    ]


def best_classes(known: Floats, names: Sequence[str], asked: Floats) -> list[str]:
    """The classes of ``asked`` by the classifier with the best cross-validated accuracy."""
    return best_places(known, [names], asked)[0]


def best_places(known: Floats, places: Sequence[Sequence[str]], asked: Floats) -> list[list[str]]:
    """The classes of ``asked`` at several places, all by one kind of classifier.

    The first place with more than one class decides which kind.
    """
    known, asked = _reduced(known, asked)
    model: Model = None
    columns = []
    for names in places:
        if len(set(names)) == 1:
            columns.append([names[0]] * len(asked))
            continue
        wanted = np.array(names)
        model = model or _best(classifiers, known, wanted, _accuracy)[0]
        columns.append([str(name) for name in clone(model).fit(known, wanted).predict(asked)])
    return columns


def _accuracy(given: Any, wanted: Any) -> float:
    return float(np.mean(given == wanted))


def _closeness(given: Any, wanted: Any) -> float:
    return -float(np.mean((given - wanted) ** 2))


def best_numbers(known: Floats, wanted: Floats, asked: Floats) -> tuple[Floats, float]:
    """The numbers [n, width] of ``asked`` by the regressor with the least mean squared error.

    That error, cross-validated, is the second.
    """
    known, asked = _reduced(known, asked)
    shaped = wanted if wanted.shape[1] > 1 else wanted[:, 0]
    model, quality = _best(regressors, known, shaped, _closeness)
    given = np.asarray(model.fit(known, shaped).predict(asked)).reshape(len(asked), -1)
    return given, -quality


def _best(
    models: Callable[[], list[Model]],
    known: Floats,
    wanted: Any,
    quality: Callable[[Any, Any], float],
) -> tuple[Model, float]:
    """A new model of the best kind and its mean quality; of equally good ones the first."""
    folds = list(KFold(FOLDS, shuffle=True, random_state=0).split(known))
    values = [0.0] * len(models())
    for train, test in folds:
        for at, model in enumerate(models()):
            given = model.fit(known[train], wanted[train]).predict(known[test])
            values[at] += quality(given, wanted[test])
    return models()[int(np.argmax(values))], max(values) / FOLDS


def _reduced(known: Floats, asked: Floats) -> tuple[Floats, Floats]:
    if known.shape[1] <= MOST_FEATURES:
        return known, asked
    components = PCA(min(MOST_FEATURES, len(known)), svd_solver="full").fit(known)
    return components.transform(known), components.transform(asked)
