"""Suggestions for unknown names of modules and arguments, including those of other libraries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cache, wraps
from importlib import import_module
from inspect import Parameter, signature
from typing import ParamSpec, TypeVar

__all__ = ["missing", "same_as", "with_known_options"]

P = ParamSpec("P")
T = TypeVar("T")

# The modules to search besides the one that was asked.
_HOMES = (
    "nn", "losses", "optim", "optim.schedules", "train.callbacks", "metrics", "data", "train", "nn.init",
    "ops", "random", "decode", "estimators", "export",
)  # fmt: skip
# portnn's names and those of Keras, PyTorch, scikit-learn and optax, normalized by `_plain`.
_ELSEWHERE = {
    "losses.absolute_error": "mae meanabsoluteerror l1 l1loss",
    "losses.cosine_distance": "cosinesimilarity cosine cosineembedding",
    "losses.focal": "categoricalfocalcrossentropy",
    "losses.huber": "smoothl1 huberloss smoothl1loss",
    "losses.kl_divergence": "kldiv kld kldivloss",
    "losses.gaussian_nll": "gaussiannllloss",
    "losses.poisson_nll": "poisson poissonnllloss",
    "losses.hinge": "hingeloss",
    "losses.multiclass_hinge": "categoricalhinge multimargin multimarginloss",
    "losses.sigmoid_cross_entropy": "binarycrossentropy bce bceloss bcewithlogits bcewithlogitsloss "
    "binarycrossentropywithlogits",
    "losses.sigmoid_focal": "binaryfocalcrossentropy",
    "losses.softmax_cross_entropy": "crossentropy crossentropyloss categoricalcrossentropy log nll nllloss "
    "sparsecategoricalcrossentropy",
    "losses.squared_error": "mse mseloss meansquarederror l2loss",
    "nn.Linear": "dense fullyconnected fc",
    "nn.Layer": "module",
    "nn.BatchNorm": "batchnorm1d batchnorm2d batchnorm3d",
    "nn.InstanceNorm": "instancenorm1d instancenorm2d",
    "nn.RNN": "simplernn",
    "nn.ConvTranspose1d": "conv1dtranspose",
    "nn.ConvTranspose2d": "conv2dtranspose",
    "nn.Dropout1d": "spatialdropout1d",
    "nn.Dropout2d": "spatialdropout2d",
    "nn.GlobalAvgPool1d": "adaptiveavgpool1d",
    "nn.GlobalAvgPool2d": "adaptiveavgpool2d",
    "nn.Rescale": "rescaling",
    "nn.Reshape": "unflatten",
    "nn.Residual": "add",
    "nn.Sequential": "modulelist",
    "nn.SinusoidalPositions": "positionalencoding",
    "nn.Upsample": "upsampling1d upsampling2d",
    "nn.ZeroPad1d": "zeropadding1d",
    "nn.ZeroPad2d": "zeropadding2d",
    "nn.silu": "swish",
    "metrics.accuracy": "accuracyscore",
    "metrics.f1": "f1score",
    "metrics.precision": "precisionscore",
    "metrics.recall": "recallscore",
    "metrics.r2": "r2score",
    "network.Network": "model",
    "optim.clip_by_global_norm": "clipgradnorm clipbynorm clipnorm",
    "optim.clip_by_value": "clipgradvalue clip",
    "optim.ema": "exponentialmovingaverage averagedmodel swa",
    "optim.sgd": "momentum gradientdescent",
    "optim.schedules": "lrscheduler learningratescheduler schedule schedulers",
    "optim.schedules.cosine": "cosineannealinglr cosineannealing cosinedecay cosinedecayschedule",
    "optim.schedules.cosine_restarts": "cosineannealingwarmrestarts cosinedecayrestarts",
    "optim.schedules.exponential": "exponentiallr exponentialdecay",
    "optim.schedules.multi_step": "multisteplr piecewiseconstantdecay",
    "optim.schedules.one_cycle": "onecyclelr",
    "optim.schedules.polynomial": "polynomiallr polynomialdecay",
    "optim.schedules.step": "steplr",
    "optim.schedules.warmup": "linearlr",
    "train.batches": "dataloader",
    "train.callbacks.Checkpoint": "backupandrestore",
    "train.callbacks.EarlyStopping": "earlystop",
}
_OWN = {other: home for home, others in _ELSEWHERE.items() for other in others.split()}
# Common argument names and portnn's; the first that the function has is suggested.
_ARGUMENTS = {
    word: names.split()
    for words, names in {
        "lr eta eta0 rate step_size learning_rate_init": "learning_rate max_rate optimizer",
        "learning_rate max_lr": "max_rate learning_rate schedule optimizer",
        "epoch n_epochs num_epochs nb_epoch n_epoch max_epochs max_iter": "epochs",
        "batch bs batchsize n_batch minibatch": "batch_size",
        "decay wd l2 l2_reg alpha weight_decay": "weight_decay decay penalty",
        "beta1 beta2 beta_1 beta_2 b1 b2 beta": "betas",
        "epsilon eps": "eps",
        "rho gamma smoothing": "alpha rho factor decay",
        "beta": "momentum",
        "verbose": "progress",
        "optim opt optimiser solver": "optimizer",
        "criterion loss_fn loss_function objective": "loss",
        "val_data validation val eval_set valid_data": "validation_data",
        "callback": "callbacks",
        "weights sample_weights weight": "sample_weight class_weights",
        "class_weights": "class_weight",
        "random_state rng seed": "seed",
        "device": "backend",
        "max_grad_norm clipnorm norm": "max_norm",
        "clip clipvalue max_value value": "limit",
        "t_max total_steps num_steps n_steps decay_steps warmup_steps max_steps": "steps",
        "t_0 step_size": "period every",
        "t_mult": "growth",
        "eta_min end_value min_lr": "end",
        "layer model": "layers",
    }.items()
    for word in words.split()
}
_WRITTEN = {"optimizer": "optimizer=portnn.optim.adam(0.001), with a rate of your own"}
# Alternative spellings, and suffixes that repeat the module's name.
_SPELLINGS = (("_", ""), (" ", ""), ("pooling", "pool"), ("average", "avg"), ("normalization", "norm"))


def _plain(name: str) -> str:
    """Normalize a name for comparison across libraries."""
    plain = name.lower()
    for old, new in _SPELLINGS:
        plain = plain.replace(old, new)
    return plain


def same_as(home: str, name: str) -> str | None:
    """Return a package's name for something that another library calls `name`.

    Args:
        home: the package, such as "nn" or "losses".
        name: the other name, in any spelling.

    Returns:
        The name in the package; None if there is none.

    Example:
        >>> same_as("losses", "MSELoss"), same_as("nn", "MaxPooling2D"), same_as("nn", "hard tanh")
        ('squared_error', 'MaxPool2d', 'hard_tanh')
    """
    public = _public(home)
    own = {_plain(known): known for known in public}
    for plain in (_plain(name), _plain(name).removesuffix("loss")):
        package, _, other = _OWN.get(plain, "").rpartition(".")
        found = own.get(plain) or (other if package == home and other in public else None)
        if found:
            return found
    return None


def missing(package: str, name: str, public: Collection[str]) -> AttributeError:
    """Return the error for a name that a package lacks, with a suggestion if there is a clear one.

    Args:
        package: the package, such as "portnn.optim".
        name: the missing name.
        public: the names in the package.
    """
    meant = "" if name.startswith("_") else _meant(package, name, public)
    hint = f"; did you mean {meant}?" if meant else ""
    # With a name but no object, Python adds no suggestion.
    return AttributeError(f"module {package!r} has no attribute {name!r}{hint}", name=name, obj=None)


def _meant(package: str, name: str, public: Collection[str]) -> str | None:
    plain = _plain(name)
    own = {_plain(known): f"{package}.{known}" for known in public}
    if plain in own:
        return own[plain]
    if plain in _OWN:
        return _place(package, public, *_OWN[plain].rpartition(".")[::2])
    everywhere = dict(reversed([*_everywhere(package, public)]))
    if plain in everywhere:
        return everywhere[plain]
    near = _nearest(plain, own, 0.75) or (_nearest(plain, everywhere, 0.85) if package == "portnn" else [])
    return {**everywhere, **own}[near[0]] if near else None


def _nearest(name: str, known: Collection[str], cutoff: float) -> list[str]:
    """Return the most similar known name, if any."""
    from difflib import get_close_matches  # only for a mistake

    return get_close_matches(name, known, 1, cutoff)


def _everywhere(package: str, public: Collection[str]) -> Iterator[tuple[str, str]]:
    for home in _HOMES:
        for known in _public(home):
            yield _plain(known), _place(package, public, home, known)


def _place(package: str, public: Collection[str], home: str, name: str) -> str:
    """Return the shortest form of a name for a user of a package."""
    if name in public and package.endswith((home, "portnn")):
        return f"{package}.{name}"
    return f"portnn.{name}" if name in import_module("portnn").__all__ else f"portnn.{home}.{name}"


@cache
def _public(home: str) -> tuple[str, ...]:
    try:
        return tuple(import_module(f"portnn.{home}").__all__)
    except ImportError:  # a package that needs an extra
        return ()


def with_known_options(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function raise for unknown arguments, with a suggestion.

    Example:
        >>> @with_known_options
        ... def fit(*, epochs=1):
        ...     return epochs
        >>> fit(epoch=3)
        Traceback (most recent call last):
        TypeError: fit: unexpected argument 'epoch'; did you mean epochs?
    """
    parameters = signature(function).parameters.values()
    first = [
        p.name for p in parameters if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    ]
    most = None if any(p.kind is Parameter.VAR_POSITIONAL for p in parameters) else len(first)
    known = [
        p.name for p in parameters if p.kind in (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    ]
    names, label = frozenset(known), function.__qualname__.removesuffix(".__init__").rpartition(".")[2]

    @wraps(function)
    def checked(*args: P.args, **options: P.kwargs) -> T:
        if not names.issuperset(options):
            odd = next(name for name in options if name not in names)
            raise TypeError(f"{label}: unexpected argument {odd!r:.60}; {_argument(odd, known)}")
        if most is not None and len(args) > most:
            raise TypeError(_too_many(label, first, [n for n in known if n not in first], len(args)))
        return function(*args, **options)

    return checked


def _too_many(label: str, first: list[str], others: list[str], count: int) -> str:
    """Return the error text for too many positional arguments."""
    own = first[:1] in (["self"], ["cls"])
    first, count = first[own:], count - own
    if first == ["layers"]:
        return f"{label}: expected one list of layers, got {count} arguments; write {label}([first, second])"
    which = f" ({', '.join(first)})" if first else ""
    named = f"; give the others by name: {', '.join(others)}" if others else ""
    what = "argument without its name" if len(first) == 1 else "arguments without their names"
    return f"{label}: expected at most {len(first)} {what}{which}, got {count}{named}"[:290]


def _argument(odd: str, known: list[str]) -> str:
    """Return a hint: the similar argument, or the known ones."""
    listed = [name for name in _ARGUMENTS.get(odd.lower(), []) if name in known]
    near = listed or _nearest(odd.lower(), known, 0.75)
    if near:
        return f"did you mean {_WRITTEN.get(near[0], near[0])}?"
    shown = [name for name in known if name not in ("self", "cls")]
    return f"expected {', '.join(shown)}"[:160] if shown else "it takes none by name"
