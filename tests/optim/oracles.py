"""The algorithms once more, each as a plain float64 loop written from its paper, one array at a time.

An oracle is a generator function: given the first parameters and `grad(t, x)`, it yields the parameters after
each step.
"""

from __future__ import annotations

import math

import numpy as np


def sgd(x, grad, *, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0):
    b = None
    for t in range(10**9):
        g = grad(t, x) + weight_decay * x
        if momentum:
            b = g if b is None else momentum * b + (1 - dampening) * g
            g = g + momentum * b if nesterov else b
        x = x - lr * g
        yield x


def rmsprop(x, grad, *, lr, alpha, eps, momentum=0.0, centered=False, weight_decay=0.0):
    v = a = b = 0.0
    for t in range(10**9):
        g = grad(t, x) + weight_decay * x
        v = alpha * v + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g
        step = g / (np.sqrt(v - a**2 if centered else v) + eps)
        b = momentum * b + step
        x = x - lr * b
        yield x


def adagrad(x, grad, *, lr, eps, lr_decay=0.0, initial=0.0, weight_decay=0.0):
    s = initial
    for t in range(10**9):
        g = grad(t, x) + weight_decay * x
        s = s + g**2
        x = x - lr / (1 + t * lr_decay) * g / (np.sqrt(s) + eps)
        yield x


def adadelta(x, grad, *, lr, rho, eps, weight_decay=0.0):
    v = u = 0.0
    for t in range(10**9):
        g = grad(t, x) + weight_decay * x
        v = rho * v + (1 - rho) * g**2
        d = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d**2
        x = x - lr * d
        yield x


def adam(x, grad, *, lr, b1, b2, eps, weight_decay=0.0, decoupled=0.0, amsgrad=False):
    m = v = largest = 0.0
    for t in range(1, 10**9):
        g = grad(t - 1, x) + weight_decay * x
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        largest = np.maximum(largest, v)
        second = (largest if amsgrad else v) / (1 - b2**t)
        x = x - lr * (m / (1 - b1**t) / (np.sqrt(second) + eps) + decoupled * x)
        yield x


def nadam(x, grad, *, lr, b1, b2, eps, psi, weight_decay=0.0):
    m = v = 0.0
    product = 1.0
    for t in range(1, 10**9):
        g = grad(t - 1, x) + weight_decay * x
        mu, mu_next = (b1 * (1 - 0.5 * 0.96 ** (i * psi)) for i in (t, t + 1))
        product *= mu
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        ahead = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
        x = x - lr * ahead / (np.sqrt(v / (1 - b2**t)) + eps)
        yield x


def radam(x, grad, *, lr, b1, b2, eps, weight_decay=0.0):
    m = v = 0.0
    limit = 2 / (1 - b2) - 1
    for t in range(1, 10**9):
        g = grad(t - 1, x) + weight_decay * x
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        length = limit - 2 * t * b2**t / (1 - b2**t)
        step = m / (1 - b1**t)
        if length > 5:
            rectify = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
            step = step * math.sqrt(rectify) * math.sqrt(1 - b2**t) / (np.sqrt(v) + eps)
        x = x - lr * step
        yield x


def adamax(x, grad, *, lr, b1, b2, eps, weight_decay=0.0):
    m = u = 0.0
    for t in range(1, 10**9):
        g = grad(t - 1, x) + weight_decay * x
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, np.abs(g) + eps)
        x = x - lr / (1 - b1**t) * m / u
        yield x


def lion(x, grad, *, lr, b1, b2, decoupled=0.0):
    m = 0.0
    for t in range(10**9):
        g = grad(t, x)
        x = x - lr * (np.sign(b1 * m + (1 - b1) * g) + decoupled * x)
        m = b2 * m + (1 - b2) * g
        yield x
