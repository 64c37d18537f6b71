"""Mamba blocks as sequence mixers in PyTorch, written plainly from the papers' equations, for comparisons of speed.

Each is a module from a stream [B, T, D] to what is read of it, [B, T, D], from an empty memory, with the default keys of
`model.mixer`: E = 2 D inner channels, S = 16 states, heads of P = 128 channels, or of all channels where these are fewer. `plain` is the
recurrence token by token, with which `compare_mixers.py` compares the form that it times.
"""
import math

import torch
import torch.nn.functional as F

CHUNK = 64
EPS = 1e-5


def drawn(*shape):
    """A parameter with initial values of a linear map."""
    return torch.nn.Parameter((2.0 * torch.rand(*shape) - 1.0) / math.sqrt(shape[0]))


def biases(count):
    """What softplus makes steps of 0.001 to 0.1 of."""
    steps = torch.exp(math.log(1e-3) + torch.rand(count) * math.log(100.0))
    return torch.nn.Parameter(torch.log(torch.expm1(steps)))


def rms_norm(x):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)


def ones(*shape):
    return torch.nn.Parameter(torch.ones(*shape))


def convolved(x, taps, bias):
    """SiLU of a causal convolution of each channel: [B, T, C], taps [C, 1, K]."""
    kernel = taps.shape[-1]
    return F.silu(F.conv1d(x.mT, taps, bias, padding=kernel - 1, groups=x.shape[-1])[..., : x.shape[1]].mT)


def state_space(c, b, x, log_decay, chunk=CHUNK):
    """sum over s < t of exp(A_t - A_s) (c_t . b_s) x_s in chunks: c, b [B, H or 1, T, S], x [B, H, T, P], log_decay [B, H, T]."""
    tokens = x.shape[2]
    chunk = min(chunk, tokens)
    c, b, x = (F.pad(all, (0, 0, 0, -tokens % chunk)).unflatten(2, (-1, chunk)) for all in (c, b, x))
    sums = F.pad(log_decay, (0, -tokens % chunk)).unflatten(2, (-1, chunk)).cumsum(-1)  # [B, H, n, C]
    later = torch.ones(chunk, chunk, dtype=torch.bool).tril(-1)
    left = (sums[..., :, None] - sums[..., None, :]).masked_fill(~later, -math.inf).exp()
    within = (c @ b.mT * left) @ x
    written = (b * (sums[..., -1:] - sums).exp()[..., None]).mT @ x  # [B, H, n, S, P]
    whole = sums[..., -1].exp()[..., None, None]
    memory, before = torch.zeros_like(written[:, :, 0]), []
    for index in range(written.shape[2]):
        before.append(memory)
        memory = memory * whole[:, :, index] + written[:, :, index]
    read = within + (c * sums.exp()[..., None]) @ torch.stack(before, 2)
    return read.flatten(2, 3)[:, :, :tokens]


class Mamba1(torch.nn.Module):
    """arXiv:2312.00752, the scan token by token."""

    def __init__(self, width, states=16, taps=4):
        super().__init__()
        self.inner, self.states, self.rank = 2 * width, states, -(-width // 16)
        self.in_proj, self.out_proj = drawn(width, 2 * self.inner), drawn(self.inner, width)
        self.taps, self.bias = torch.nn.Parameter(torch.rand(self.inner, 1, taps) - 0.5), drawn(self.inner)
        self.x_proj, self.dt_proj = drawn(self.inner, self.rank + 2 * states), drawn(self.rank, self.inner)
        self.dt_bias, self.skip = biases(self.inner), ones(self.inner)
        self.log_rates = torch.nn.Parameter(torch.arange(1.0, states + 1).log().repeat(self.inner, 1))

    def chosen(self, v):
        """x, z, steps, b, c."""
        x, z = (v @ self.in_proj).chunk(2, -1)
        x = convolved(x, self.taps, self.bias)
        low, b, c = (x @ self.x_proj).split([self.rank, self.states, self.states], -1)
        return x, z, F.softplus(low @ self.dt_proj + self.dt_bias), b, c

    def forward(self, v):
        x, z, steps, b, c = self.chosen(v)
        decays = torch.exp(-steps[..., None] * self.log_rates.exp())  # [B, T, E, S]
        writes = (steps * x)[..., None] * b[:, :, None]
        h, states = torch.zeros_like(writes[:, 0]), []
        for decay, write in zip(decays.unbind(1), writes.unbind(1)):
            h = decay * h + write
            states.append(h)
        y = (torch.stack(states, 1) @ c[..., None])[..., 0] + self.skip * x
        return (y * F.silu(z)) @ self.out_proj

    def plain(self, v):
        x, z, steps, b, c = self.chosen(v)
        h, reads = 0.0, []
        for t in range(v.shape[1]):
            step = steps[:, t, :, None]
            h = torch.exp(-step * self.log_rates.exp()) * h + step * x[:, t, :, None] * b[:, t, None]
            reads.append((h * c[:, t, None]).sum(-1) + self.skip * x[:, t])
        return (torch.stack(reads, 1) * F.silu(z)) @ self.out_proj


class Mamba2(torch.nn.Module):
    """arXiv:2405.21060, in chunks."""

    def __init__(self, width, states=16, taps=4, headdim=128):
        super().__init__()
        self.inner, self.states, self.headdim = 2 * width, states, min(headdim, 2 * width)
        self.heads = self.inner // self.headdim
        channels = self.inner + 2 * states
        self.in_proj = drawn(width, self.inner + channels + self.heads)
        self.taps, self.bias = torch.nn.Parameter(torch.rand(channels, 1, taps) - 0.5), drawn(channels)
        self.dt_bias, self.skip, self.gain = biases(self.heads), ones(self.heads), ones(self.inner)
        self.log_rate = torch.nn.Parameter(torch.log(1.0 + 15.0 * torch.rand(self.heads)))
        self.out_proj = drawn(self.inner, width)

    def chosen(self, v):
        """z, and head by head: x, b, c, steps, logarithms of decays."""
        channels = self.inner + 2 * self.states
        z, convolutions, steps = (v @ self.in_proj).split([self.inner, channels, self.heads], -1)
        x, b, c = convolved(convolutions, self.taps, self.bias).split([self.inner, self.states, self.states], -1)
        steps = F.softplus(steps + self.dt_bias).mT  # [B, H, T]
        x = x.unflatten(-1, (self.heads, self.headdim)).transpose(1, 2)
        return z, x, b.unsqueeze(1), c.unsqueeze(1), steps, -steps * self.log_rate.exp()[:, None]

    def forward(self, v):
        z, x, b, c, steps, log_decay = self.chosen(v)
        read = state_space(c, b, x * steps[..., None], log_decay)
        y = read + x * ((b * c).sum(-1, keepdim=True) * steps[..., None] + self.skip[:, None, None])
        return self.answer(y, z)

    def answer(self, y, z):
        return (rms_norm(y.transpose(1, 2).flatten(2) * F.silu(z)) * self.gain) @ self.out_proj

    def plain(self, v):
        z, x, b, c, steps, log_decay = self.chosen(v)
        h, reads = 0.0, []
        for t in range(v.shape[1]):
            write = steps[:, :, t, None, None] * b[:, :, t, :, None] * x[:, :, t, None]
            h = log_decay[:, :, t, None, None].exp() * h + write
            reads.append((c[:, :, t, None] @ h)[:, :, 0] + self.skip[:, None] * x[:, :, t])
        return self.answer(torch.stack(reads, 2), z)


class Mamba3(torch.nn.Module):
    """arXiv:2603.15569 with one input and one output a head, in chunks."""

    def __init__(self, width, states=16, headdim=128, turning=0.5):
        super().__init__()
        self.inner, self.states, self.headdim = 2 * width, states, min(headdim, 2 * width)
        self.heads, self.pairs = self.inner // self.headdim, int(states * turning) // 2
        self.sizes = [self.inner, self.inner, states, states, self.heads, self.heads, self.heads, self.pairs]
        self.in_proj, self.out_proj = drawn(width, sum(self.sizes)), drawn(self.inner, width)
        self.dt_bias, self.skip = biases(self.heads), ones(self.heads)
        self.b_gain, self.c_gain = ones(states), ones(states)
        self.b_bias, self.c_bias = ones(self.heads, states), ones(self.heads, states)

    def turned(self, x, angles):
        pairs, rest = x.split([2 * self.pairs, self.states - 2 * self.pairs], -1)
        a, b = pairs.unflatten(-1, (-1, 2)).unbind(-1)
        cos, sin = angles.cos(), angles.sin()
        return torch.cat([torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2), rest], -1)

    def chosen(self, v):
        """z, and head by head: x, b, c, steps, logarithms of decays, shares, turns."""
        z, x, b, c, steps, rates, shares, turns = (v @ self.in_proj).split(self.sizes, -1)
        x = x.unflatten(-1, (self.heads, self.headdim)).transpose(1, 2)
        b, c = (
            (rms_norm(all) * gain).unsqueeze(1) + bias[:, None]
            for all, gain, bias in ((b, self.b_gain, self.b_bias), (c, self.c_gain, self.c_bias))
        )
        steps = F.softplus(steps + self.dt_bias).mT
        log_decay = -steps * F.softplus(rates).clamp(min=1e-4).mT
        turns = torch.tanh(turns).unsqueeze(1) * math.pi * steps[..., None]
        return z, x, b, c, steps, log_decay, torch.sigmoid(shares).mT, turns

    def forward(self, v):
        z, x, b, c, steps, log_decay, shares, turns = self.chosen(v)
        own, previous = shares * steps, (1.0 - shares) * steps
        angles = turns.cumsum(2)
        weights = own + F.pad(previous[..., 1:], (0, 1))
        turned = (self.turned(c, angles), self.turned(b, angles))
        read = state_space(*turned, x * weights[..., None], log_decay)
        y = read + x * ((b * c).sum(-1, keepdim=True) * own[..., None] + self.skip[:, None, None])
        return (y.transpose(1, 2).flatten(2) * F.silu(z)) @ self.out_proj

    def plain(self, v):
        z, x, b, c, steps, log_decay, shares, turns = self.chosen(v)
        shape = (*x.shape[:2], self.states, self.headdim)
        h, last, reads = v.new_zeros(shape), v.new_zeros(shape), []
        for t in range(v.shape[1]):
            step, share = steps[:, :, t, None, None], shares[:, :, t, None, None]
            write = b[:, :, t, :, None] * x[:, :, t, None]
            h = self.turned((h + (1.0 - share) * step * last).mT, -turns[:, :, t, None]).mT
            h, last = log_decay[:, :, t, None, None].exp() * h + share * step * write, write
            reads.append((c[:, :, t, None] @ h)[:, :, 0] + self.skip[:, None] * x[:, :, t])
        y = torch.stack(reads, 2).transpose(1, 2).flatten(2) * F.silu(z)
        return y @ self.out_proj


BLOCKS = {"mamba1": Mamba1, "mamba2": Mamba2, "mamba3": Mamba3}
