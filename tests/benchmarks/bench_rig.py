"""What the face rig must reach:  python tests/benchmarks/bench_rig.py speed|aus|blinks|transfer|sheets [options].

- speed: faces a second at 48 and 96 px, one process a core, one thread each
- aus: AUC of a HOG + linear probe for each AU at C or more: alone, as in CK+, in the wild; new people in the test
- blinks: AUC of a blink (AU45) in a clip against eyes that stay open and eyes that close and stay shut (AU43)
- transfer: small networks trained on drawn faces alone, tested on real FER2013 (--real fer2013.csv).
  Tune on Training rows (the default); --usage PublicTest is looked at once, at the end
- sheets: pictures to judge by eye: emotions, AUs, poses and tones, and an unlabelled one for strangers
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from ferlib import distance
from ferlib.labels import DRAWN_AUS, EMOTIONS, FER2013_CODES
from ferlib.synthetic import dynamics
from ferlib.synthetic.camera import draw_scenes
from ferlib.synthetic.expressions import draw_expressions
from ferlib.synthetic.people import draw_people, seeds_of, uniforms
from ferlib.synthetic.render import draw_faces
from ferlib.synthetic.workshop import in_parallel


def draw_probe(job: tuple[str, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, size, size) uint8, grey, and AU levels (N, U) of faces ``first`` to ``last`` of a ``mode``."""
    mode, first, last, size = job
    torch.set_num_threads(1)
    rows = np.arange(first, last)
    seeds = seeds_of(f"bench-{mode}", 0, rows)
    if mode == "alone":
        u = uniforms(seeds, "au", 2)
        which = (u[:, 0] * (len(DRAWN_AUS) + 2)).astype(int)  # two shares in 27 stay at rest
        levels = np.zeros((len(rows), len(DRAWN_AUS), 2), np.float32)
        act = np.flatnonzero(which < len(DRAWN_AUS))
        levels[act, which[act]] = (2.5 + 2.5 * u[act, 1])[:, None]
    else:
        emotions = np.array(EMOTIONS)[(uniforms(seeds, "emotion", 1)[:, 0] * 8).astype(int)]
        levels = draw_expressions(emotions, seeds, mode)
    scenes = draw_scenes(seeds, "wild" if mode == "wild" else "studio")
    drawn = draw_faces(draw_people(f"bench-{mode}", 0, rows // 4), levels, scenes, size)
    grey = np.stack([cv2.cvtColor(i, cv2.COLOR_RGB2GRAY) for i in drawn.images.permute(0, 2, 3, 1).numpy()])
    return grey, levels.max(2)


def timed(job: tuple[int, int]) -> tuple[float, float]:
    """Seconds to draw N wild faces at a size after a warm-up: by the clock, and of the processor alone."""
    size, n = job
    draw_probe(("wild", 0, 32, size))
    clock, processor = time.perf_counter(), time.process_time()
    draw_probe(("wild", 0, n, size))
    return time.perf_counter() - clock, time.process_time() - processor


def speed(args) -> None:
    """The clock counts on an idle machine; on a busy one faces a second of processor time are nearer the truth."""
    for size in (48, 96):
        n = 640 if size == 48 else 256
        clock, processor = zip(*in_parallel(timed, [(size, n)] * args.workers, args.workers), strict=True)
        print(
            f"{size} px: {args.workers * n / max(clock):.0f} faces/s with {args.workers} processes of one thread; "
            f"{n / min(processor):.0f} in a second of processor time"
        )


def hog(pictures: np.ndarray) -> np.ndarray:
    """HOG features (N, D) of grey pictures: 8 px cells, 9 directions."""
    side = pictures.shape[1]
    describe = cv2.HOGDescriptor((side, side), (16, 16), (8, 8), (8, 8), 9)
    return np.stack([describe.compute(p).ravel() for p in pictures])


def auc(score: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve, by ranks."""
    order = score.argsort().argsort()
    hits = truth.sum()
    return float((order[truth].sum() - hits * (hits - 1) / 2) / (hits * (len(truth) - hits)))


def aus(args) -> None:
    for mode in args.modes.split(","):
        jobs = [(mode, i, min(i + 200, args.n), 96) for i in range(0, args.n, 200)]
        parts = in_parallel(draw_probe, jobs, args.workers)
        x = np.concatenate([hog(grey) for grey, _ in parts])
        y = np.concatenate([levels for _, levels in parts]) >= 2.5
        cut = args.n * 3 // 4
        x = np.hstack([x - x[:cut].mean(0), np.ones((args.n, 1), np.float32)]).astype(np.float32)
        gram = x[:cut].T @ x[:cut] + 0.003 * cut * np.eye(x.shape[1], dtype=np.float32)
        weight = np.linalg.solve(gram, x[:cut].T @ (2.0 * y[:cut] - 1).astype(np.float32))
        score = x[cut:] @ weight
        areas = {au: auc(score[:, u], y[cut:, u]) for u, au in enumerate(DRAWN_AUS) if y[cut:, u].sum() >= 10}
        print(f"{mode}: mean AUC {np.mean(list(areas.values())):.3f} over {len(areas)} AUs, n = {args.n}")
        print("   " + " ".join(f"{au[2:]}:{area:.2f}" for au, area in areas.items()))


BLINK_FPS, BLINK_FRAMES = 30, 30


def draw_clips(job: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Clips of people ``first`` to ``last``, one each: frames (N, T, 96, 96) uint8, grey, and how far the eyes are
    shut (N, T) in [0, 5].  Every third blinks once, every third closes the eyes for good, one keeps them open."""
    torch.set_num_threads(1)
    films, shut = [], []
    for person in range(*job):
        rng = np.random.default_rng([45, person])
        levels = np.zeros((BLINK_FRAMES, len(DRAWN_AUS), 2), np.float32)
        middle = int(rng.integers(BLINK_FRAMES // 4, 3 * BLINK_FRAMES // 4))
        lids = dynamics.blink(BLINK_FRAMES, BLINK_FPS, middle, rng)
        if person % 3 == 1:
            lids = np.maximum.accumulate(lids)
        if person % 3 < 2:
            levels[:, DRAWN_AUS.index(("AU45", "AU43")[person % 3])] = lids[:, None]
        turn = torch.as_tensor(dynamics.drift(BLINK_FRAMES, BLINK_FPS, 1.5, rng), dtype=torch.float32)
        scene = draw_scenes(seeds_of("bench-blinks", 0, [person]), "studio")[np.zeros(BLINK_FRAMES, int)]
        scene = scene.with_(
            **{a: getattr(scene, a) + turn[:, k] for k, a in enumerate(("yaw", "pitch", "roll"))}
        )
        who = draw_people("bench-blinks", 0, np.full(BLINK_FRAMES, person))
        films.append(draw_faces(who, levels, scene, 96).grey.numpy().astype(np.uint8))
        shut.append(levels.max((1, 2)))
    return np.stack(films), np.stack(shut)


def blinks(args) -> None:
    """One frame says how far the eyes are shut; a blink is what shuts and opens again."""
    n = args.n // BLINK_FRAMES // 30 * 30
    parts = in_parallel(draw_clips, [(i, i + 10) for i in range(0, n, 10)], args.workers)
    films, shut = (np.concatenate(several) for several in zip(*parts, strict=True))
    x = hog(films.reshape(-1, 96, 96)).reshape(n, BLINK_FRAMES, -1)
    cut = n // 2 // 3 * 3
    seen = x[:cut].reshape(cut * BLINK_FRAMES, -1)
    middle = seen.mean(0)
    gram = (seen - middle).T @ (seen - middle) + 0.003 * len(seen) * np.eye(seen.shape[1], dtype=np.float32)
    weight = np.linalg.solve(gram, (seen - middle).T @ (shut[:cut].ravel() - shut[:cut].mean()))
    lids = (x[cut:] - middle) @ weight
    again = lids.max(1) - np.maximum(lids[:, 0], lids[:, -1])
    kind = np.arange(cut, n) % 3
    for name, other in (("eyes that stay open", 2), ("eyes that shut and stay shut", 1)):
        rows = (kind == 0) | (kind == other)
        print(
            f"a blink against {name}: AUC {auc(again[rows], kind[rows] == 0):.3f}, {rows.sum()} clips of new people"
        )


def pixels_of(rows: pd.DataFrame) -> np.ndarray:
    """Pictures (N, 48, 48) uint8 of rows of ``fer2013.csv``."""
    return np.stack([np.array(p.split(), np.uint8) for p in rows["pixels"]]).reshape(-1, 48, 48)


def transfer(args) -> None:
    """Accuracy and macro recall on photographs of networks of drawn faces, as chapter 0 has them."""
    real = pd.read_csv(args.real)
    rows = real[real["Usage"] == args.usage]
    rows = rows.sample(6000, random_state=1) if args.usage == "Training" else rows
    pictures = pixels_of(rows)
    truth = rows["emotion"].to_numpy()
    how = distance.Training(**{k: getattr(args, k) for k in ("n_faces", "n_epochs") if getattr(args, k)})
    print(how)
    nets = distance.networks(how, args.workers)
    score = distance.log_probabilities(nets, pictures)
    unlabelled = (
        score
        if args.usage == "Training"
        else distance.log_probabilities(nets, pixels_of(real[real["Usage"] == "Training"][::6]))
    )
    for name, added in (
        ("classes taken as equally likely", torch.zeros(7)),
        ("published class shares as prior", distance.calibration()),
        ("calibrated on unlabelled Training photographs", distance.calibration(unlabelled)),
    ):
        answer = (score + added).argmax(1).numpy()
        recall = [float((answer[truth == k] == k).mean()) for k in range(7)]
        right = (answer == truth).mean()
        print(
            f"{args.usage}, {name}: accuracy {right:.4f}, macro recall {np.mean(recall):.4f}, n = {len(rows)}"
        )
        print("   " + " ".join(f"{e}:{r:.2f}" for e, r in zip(FER2013_CODES, recall, strict=True)))


def sheet(images: torch.Tensor, columns: int, path: Path) -> None:
    """Writes pictures (N, 3, H, W) side by side."""
    n, _, h, w = images.shape
    canvas = np.zeros((-(-n // columns) * h, columns * w, 3), np.uint8)
    for i, picture in enumerate(images.permute(0, 2, 3, 1).numpy()):
        canvas[i // columns * h :, i % columns * w :][:h, :w] = picture
    cv2.imwrite(str(path), canvas[..., ::-1])
    print(path)


def sheets(args) -> None:
    torch.set_num_threads(1)
    out, size, people = Path(args.out), args.size, np.arange(6) + args.first
    out.mkdir(parents=True, exist_ok=True)
    names = np.repeat(np.array(EMOTIONS), 6)
    crowd, seeds = (
        draw_people("sheet", args.seed, np.tile(people, 8)),
        seeds_of("sheet", args.seed, np.arange(48)),
    )
    close = {"frame": 23.0, "eye_line": 0.45}
    scenes = draw_scenes(seeds, "portrait").with_(**close)
    faces = draw_faces(crowd, draw_expressions(names, seeds, "ckplus"), scenes, size).images
    sheet(faces, 6, out / "emotions.png")
    order = np.random.default_rng(args.seed).permutation(48)
    sheet(faces[order], 8, out / "stranger.png")
    pd.DataFrame({"place": np.arange(48), "emotion": names[order]}).to_csv(
        out / "stranger_key.csv", index=False
    )
    levels = torch.zeros(len(DRAWN_AUS) * 5, len(DRAWN_AUS), 2)
    for u in range(len(DRAWN_AUS)):
        levels[u * 5 : u * 5 + 5, u] = torch.arange(1.0, 6.0)[:, None]
    still = draw_scenes(1, "portrait")[np.zeros(len(levels), int)].with_(
        yaw=0.0, pitch=0.0, roll=0.0, frame=21.0, eye_line=0.42
    )
    sheet(draw_faces(draw_people("sheet", args.seed, np.full(len(levels), args.first)), levels, still, size).images, 10,
          out / "aus.png")  # fmt: skip
    yaw = torch.tensor([-45.0, -30, -15, 0, 15, 30, 45]).repeat(4)
    scenes = draw_scenes(28, "portrait").with_(
        yaw=yaw, pitch=torch.tensor([0.0, 20, -20, 0]).repeat_interleave(7), frame=25.0
    )
    smile = draw_expressions(["happiness"] * 28, 1, "ckplus")
    sheet(
        draw_faces(draw_people("sheet", args.seed, np.repeat(people[:4], 7)), smile, scenes, size).images,
        7,
        out / "poses.png",
    )
    many = draw_people("tones", args.seed, np.arange(400))
    tones = many[[int(np.flatnonzero(many.table["monk_tone"] == tone)[1]) for tone in range(1, 11)]]
    rest, lights = torch.zeros(10, len(DRAWN_AUS), 2), draw_scenes(10, "portrait").with_(**close)
    acting = draw_expressions(np.resize(np.array(EMOTIONS), 10), args.seed, "wild")
    rows = [draw_faces(tones, rest, lights, size), draw_faces(tones, acting, draw_scenes(10, "wild"), size)]
    sheet(torch.cat([row.images for row in rows]), 10, out / "tones.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("speed", "aus", "blinks", "transfer", "sheets"))
    parser.add_argument("--n", type=int, default=12000)
    parser.add_argument("--modes", default="alone,ckplus,wild")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--n-faces", type=int, default=0, help="of transfer; 0: as chapter 0")
    parser.add_argument("--n-epochs", type=int, default=0)
    parser.add_argument("--real", default="fer2013.csv")
    parser.add_argument("--usage", default="Training")
    parser.add_argument("--out", default="sheets")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    {"speed": speed, "aus": aus, "blinks": blinks, "transfer": transfer, "sheets": sheets}[args.what](args)


if __name__ == "__main__":
    main()
