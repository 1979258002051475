"""``portnn train``."""

from __future__ import annotations

from math import prod
from os import W_OK, access
from pathlib import Path
from time import perf_counter
from typing import Any

from click import UsageError

from portnn import tree
from portnn.cli._names import hidden_of, optimizer_of
from portnn.cli._problem import Problem, build, make_problem
from portnn.cli._progress import Progress
from portnn.cli._runs import begin_run, check_run, finish_run, leave_run, resumed_options, resuming
from portnn.cli._scaling import fold
from portnn.cli._terminal import count, decimal, emit, note, short
from portnn.network import Network
from portnn.serialize import checkpoints, latest
from portnn.train import DivergenceError, History
from portnn.train.callbacks import Checkpoint, EarlyStopping

__all__ = ["run"]

_LOST = 100  # steps at most that Ctrl-C loses


def run(*, as_json: bool, quiet: bool, **given: Any) -> None:
    """Train a network on data, or go on with a training."""
    options = resumed_options(given) if given["resume"] else dict(given)
    hidden_of(options["layers"])  # a slip is told before the data are read
    if not options["data"]:
        raise UsageError("Missing argument 'DATA'.")
    _check_output(options["output"])
    folder = check_run(options)
    problem = make_problem(options)
    net, optimizer = build(problem, options), _optimizer(problem, options)
    begin = perf_counter()
    begin_run(options, folder, problem.digest)
    try:
        if not quiet:
            note(_announce(problem, net))
        history, stop = _fit(net, problem, optimizer, options, folder, quiet)
        made = fold(net, problem.inputs, problem.outputs)
        made.notes = problem.notes
        made.save(options["output"])
    except KeyboardInterrupt:
        raise _interrupted(folder) from None
    except DivergenceError as error:
        raise _diverged(error, options, folder) from error
    except OSError as error:
        raise _unwritten(error, folder) from error
    finally:
        leave_run(folder)
    finish_run(options, folder)
    _report(made, problem, history, stop, perf_counter() - begin, options["output"], as_json)


def _check_output(path: str) -> None:
    """See that the network can be written, before it is trained."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"--output {path}: the folder {folder} does not exist; make it first")
    if not access(folder, W_OK):
        raise PermissionError(f"--output {path}: nothing can be written to the folder {folder}")
    if Path(path).exists() and not access(path, W_OK):
        raise PermissionError(f"--output {path}: the file is there, and may not be written to")
    if not path.endswith(".safetensors"):
        raise UsageError(f"--output {path}: the name of a network's file ends with .safetensors.")


def _announce(problem: Problem, net: Network) -> str:
    """What will be learned."""
    targets, held = problem.targets, 0 if problem.held_out is None else problem.held_out[0].shape[0]
    what = {
        "classification": count(targets.width, "class"), "multilabel": count(targets.width, "label"),
        "regression": count(targets.width, "value"),
    }[targets.task]  # fmt: skip
    shape = "x".join(map(str, problem.x.shape[1:]))
    kind = "pixels" if problem.pixels else "inputs"
    parameters = sum(prod(a.shape) for a in tree.leaves(net.params))
    held_out = f" + {held:,} held out" if held else ""
    named = f" of {short(', '.join(problem.notes['targets']), 60)}" if problem.notes.get("targets") else ""
    scaled = "; losses are of values brought to deviation 1" if problem.outputs is not None else ""
    header = f"\n{problem.header}; --header or --no-header overrides this" if problem.header else ""
    return (
        f"{targets.task}{named}: {problem.size:,} samples{held_out}, {shape} {kind}, {what}\n"
        f"{parameters:,} parameters on {net.backend.name}{scaled}{header}"
    )


def _optimizer(problem: Problem, options: dict[str, Any]) -> Any:
    """The optimiser that the options name."""
    given = {name: options[name] for name in ("momentum", "weight_decay") if options[name] is not None}
    given |= {name: options[name] for name in ("schedule", "warmup", "clip_norm")}
    steps = options["epochs"] * problem.steps(options["batch_size"])
    return optimizer_of(options["optimizer"], steps, rate=options["learning_rate"], **given)


def _fit(
    net: Network, problem: Problem, optimizer: Any, options: dict[str, Any], folder: Path, quiet: bool
) -> tuple[History, EarlyStopping | None]:
    """Train, with checkpoints."""
    epochs, batch = options["epochs"], options["batch_size"]
    steps = problem.steps(batch)
    stop = None
    if options["patience"]:
        watched = "loss" if problem.held_out is None else "val_loss"
        stop = EarlyStopping(watched, patience=options["patience"])
    newest = latest(folder) if options["resume"] else None
    if newest is not None and not quiet:
        note(f"going on from {newest}")
    lost = min(_LOST, steps)
    callbacks = [Checkpoint(folder, every_steps=options["checkpoint_steps"], interrupt_every=lost)]
    with Progress(problem.size, steps, epochs, quiet) as progress:
        history = net.fit(
            problem.x, problem.y, epochs=epochs, batch_size=batch, optimizer=optimizer,
            validation_data=problem.held_out, callbacks=callbacks if stop is None else [stop, *callbacks],
            progress=progress, resume=newest, threads=options["threads"],
        )  # fmt: skip
    return history, stop


def _interrupted(folder: Path) -> Exception:
    """What to say after Ctrl-C."""
    way_on = _way_on(folder)
    return RuntimeError(f"interrupted{way_on or ' before there was anything to save'}")


def _unwritten(error: OSError, folder: Path) -> Exception:
    """What to say where a file cannot be written: not all is lost."""
    return OSError(error.errno, f"{error.strerror or error}{_way_on(folder)}")


def _way_on(folder: Path) -> str:
    """How to go on with a training; nothing if nothing of it is saved."""
    newest = latest(folder) if folder.is_dir() else None
    if newest is None:
        return ""
    step = int(newest.stem.rpartition("-")[2])
    return f"; step {step:,} is saved, go on with: {resuming(folder)}"


def _diverged(error: DivergenceError, options: dict[str, Any], folder: Path) -> Exception:
    """What can be done on the command line when the loss is no number any more."""
    rate = options["learning_rate"]
    ways = ["lower --learning-rate" + ("" if rate is None else f" (now {rate:g})")]
    if options["clip_norm"] is None:
        ways.append("bound the gradient with --clip-norm 1")
    if options["scale"] == "none":
        ways.append("bring the inputs to about 1 with --scale auto")
    anew = "; begin anew with --restart" if checkpoints(folder) else ""
    return RuntimeError(f"{str(error).partition(';')[0]}; {', or '.join(ways)}{anew}")


def _report(
    net: Network, problem: Problem, history: History, stop: EarlyStopping | None, seconds: float, output: str,
    as_json: bool,
) -> None:  # fmt: skip
    """What came of it."""
    done = len(history["loss"])
    best = stop.best_epoch if stop is not None else done
    early = stop is not None and stop.stopped_epoch > 0
    final = {name: values[best - 1] for name, values in history.items()}
    data = {
        "output": output, "task": problem.targets.task, "samples": problem.size, "epochs": done,
        "best_epoch": best, "stopped_early": early, "seconds": seconds, "backend": net.backend.name,
        "final": final, "history": dict(history),
    }  # fmt: skip
    words = f"stopped after epoch {done}, best was {best}" if early else count(done, "epoch")
    values = "  ".join(f"{name} {decimal(value)}" for name, value in final.items())
    emit(f"{output}: {words}, {seconds:.1f} s\n{values}", data, as_json)
