"""Writes golden/probe.safetensors: linear classifiers of scikit-learn on rows of features, with weights of the rows.

    venv/bin/pip install torch==2.13.0 scikit-learn==1.9.1
    venv/bin/python test/reference/generate.py probe

Every classifier is fitted to features that are standardised on the rows it is fitted to; the weights of the rows have no part in
that. `coefficients` are those of standardised features. The folds are random, and stored. Features are rounded to float32 before.
"""

import numpy
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from generate import formula, write

ROWS, FOLDS = 180, 5
CASES = {"two": (2, 30), "four": (4, 45)}
PENALTIES = [0.001, 0.01, 0.1, 1, 10, 100]
CLASSIFIERS = {
    "logistic": lambda c: LogisticRegression(C=c, tol=1e-10, max_iter=100_000),
    "svm": lambda c: LinearSVC(C=c, loss="squared_hinge", dual=False, tol=1e-12, max_iter=1_000_000, random_state=0),
}


def rows_of(name, classes, columns):
    """Features of several scales and means, and the class that a noisy linear function of the first ten of them has."""
    plain = formula(f"probe/{name}", (ROWS, columns), 0).numpy()
    scale = 2.0 ** numpy.arange(-3, 4)[numpy.arange(columns) % 7]
    features = ((plain + 2 * formula(f"probe/{name}/mean", (columns,), 0).numpy()) * scale).astype(numpy.float32)
    features[:, -1] = 3  # a column without variance
    truth = formula(f"probe/{name}/truth", (10, classes), 0).numpy()
    noise = formula(f"probe/{name}/noise", (ROWS, classes), 0).numpy()
    labels = (plain[:, :10] @ truth + 1.2 * noise).argmax(1)
    weights = numpy.where(formula(f"probe/{name}/weights", (ROWS,), 0).numpy() > 0, 1.0, 0.5)
    return features, labels, weights


def main():
    tensors, given = {}, {"penalties": PENALTIES, "folds": FOLDS, "rows": ROWS, "chosen": {}, "cases": {}}
    for name, (classes, columns) in CASES.items():
        features, labels, weights = rows_of(name, classes, columns)
        folds = numpy.empty(ROWS)
        for fold, (_, out) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(features, labels)):
            folds[out] = fold
        given["cases"][name] = {"classes": classes, "columns": columns}
        tensors |= {f"{name}/features": features, f"{name}/labels": labels, f"{name}/weights": weights, f"{name}/folds": folds}
        for kind, classifier in CLASSIFIERS.items():
            for penalty in PENALTIES:
                model = classifier(penalty).fit(StandardScaler().fit_transform(features.astype(numpy.float64)), labels, weights)
                key = f"{name}/{kind}/{penalty}"
                tensors |= {f"{key}/coefficients": model.coef_, f"{key}/intercepts": model.intercept_}
            step = type(classifier(1)).__name__.lower()
            search = GridSearchCV(make_pipeline(StandardScaler(), classifier(1)), {f"{step}__C": PENALTIES}, cv=PredefinedSplit(folds))
            search.fit(features.astype(numpy.float64), labels, **{f"{step}__sample_weight": weights})
            tensors[f"{name}/{kind}/accuracies"] = search.cv_results_["mean_test_score"]
            given["chosen"][f"{name}/{kind}"] = search.best_params_[f"{step}__C"]
            print(name, kind, numpy.bincount(labels), search.cv_results_["mean_test_score"], search.best_params_)
    write("probe", given, {key: torch.from_numpy(numpy.asarray(value, dtype=numpy.float64)) for key, value in tensors.items()})


if __name__ == "__main__":
    main()
