"""The LSTM over clips: its arithmetic, what its training may see, and whether it reads movement."""

import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from micro_world import moving_dots
from torch import nn

from ferlib import models, paths, splits
from ferlib.config import UsageError
from ferlib.micro import baselines, clips, lbptop, loso, measures, network, probes
from ferlib.micro.network import ClipConfig, ClipLSTM

CONFIG = ClipConfig(n_frames=8, relative=True, hidden=24, n_epochs=25, batch_size=8, lr=5e-3, dropout=0.1,
                    recurrent_dropout=0.1, tuning_epochs=2)  # fmt: skip
CHANCE = 1 / 3


pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(scope="module")
def dots():
    return clips.of(moving_dots())


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return models.EmotionCNN(n_classes=3, size=24, width=0.1)


@pytest.fixture(scope="module")
def made(dots, net):
    return loso.examples(net, loso.inputs(dots, CONFIG, 24), dots, CONFIG)


@pytest.fixture(scope="module")
def outcome(dots, made, home):
    return loso.on_features(made, dots, CONFIG)


def accuracy(predictions):
    return measures.is_right(predictions).mean()


# ------------------------------------------------------------------------------------------------ arithmetic


def test_clips_of_many_lengths_give_what_a_packed_sequence_gives():
    lstm = ClipLSTM(5, 3, hidden=7).eval()
    lstm.mean.fill_(0.3)
    lstm.sd.fill_(2.0)
    x, lengths = torch.randn(4, 9, 5), torch.tensor([9, 3, 1, 6])
    packed = nn.utils.rnn.pack_padded_sequence((x - 0.3) / 2, lengths, batch_first=True, enforce_sorted=False)
    expected = lstm.output(lstm.lstm(packed)[1][0][0])
    torch.testing.assert_close(lstm(x, lengths), expected)
    changed = x.clone()
    changed[1, 3:] = 99.0
    torch.testing.assert_close(lstm(changed, lengths), expected)


def test_recurrent_dropout_cuts_the_state_off_from_itself_and_only_in_training():
    torch.manual_seed(0)  # at .999 a unit is kept once in a thousand
    lstm = ClipLSTM(4, 2, hidden=6, dropout=0.0, recurrent_dropout=0.999)
    x = torch.randn(3, 5, 4)
    alone = torch.cat([lstm.eval().states(x)[:, :1]], dim=1)
    torch.testing.assert_close(lstm.train().states(x)[:, :1], alone)  # the first frame has no state before it
    w, _, b1, b2 = lstm.lstm.all_weights[0]
    cell = torch.zeros(3, 6)
    for t in range(5):  # by hand, with every unit of the state dropped
        i, f, g, o = (x[:, t] @ w.T + b1 + b2).chunk(4, dim=1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        expected = torch.sigmoid(o) * torch.tanh(cell)
        torch.testing.assert_close(lstm.states(x)[:, t], expected)
    assert not torch.allclose(lstm.eval().states(x)[:, -1], expected)


def test_features_are_those_of_the_network_averaged_to_places(net, dots):
    frames = [dots.frames(0), dots.frames(1)[:5]]
    x, lengths = network.features_of(net, frames, pool=1)
    assert lengths.tolist() == [len(frames[0]), 5]
    with torch.no_grad():
        maps = net.eval().features(torch.from_numpy(np.array(frames[1]))[:, None])
    assert x[1, :5] == pytest.approx(maps.mean(dim=(2, 3)).numpy(), abs=1e-5)
    assert (x[1, 5:] == 0).all()
    still = np.repeat(frames[1][2:3], 4, axis=0)  # read once, and told of each of its frames
    again, lengths = network.features_of(net, [still, frames[0]], pool=1)
    assert lengths.tolist() == [4, len(frames[0])]
    assert again[0, :4] == pytest.approx(np.tile(x[1, 2], (4, 1)), abs=1e-5)
    assert again[1, : len(frames[0])] == pytest.approx(x[0, : len(frames[0])], abs=1e-5)


def test_relative_features_start_at_zero_and_still_clips_stay_there(made):
    x, lengths = made.x + 3.0, np.full(len(made), 6)
    moved, still = network.relative(x, lengths), network.without_movement(x, lengths)
    assert (moved[:, 0] == 0).all()
    assert moved[:, 4] == pytest.approx(x[:, 4] - x[:, 0])
    assert (still[:, :6] == x[:, :1]).all()
    assert (still[:, 6:] == 0).all()
    assert (moved[:, 6:] == 0).all()


def test_settings_that_make_no_sense_are_refused():
    for wrong in ({"input": "colour"}, {"hidden": 0}, {"recurrent_dropout": 1.0}):
        with pytest.raises(UsageError):
            ClipConfig(**wrong)


# ---------------------------------------------------------------------------------------------------- leaks


def test_picking_the_epoch_on_the_held_out_subject_raises(dots, made):
    part = loso.folds(dots)[0]
    train, val, test = (made.part(p) for p in (part.train, part.val, part.test))
    with pytest.raises(splits.LeakError, match="test"):
        network.fit(train, test, 3, CONFIG)
    with pytest.raises(splits.LeakError, match="test"):
        network.fit(test, val, 3, CONFIG)
    shared = replace(train.clips.select(np.arange(3)), role="val")
    with pytest.raises(splits.LeakError, match="share"):
        network.fit(train, made.part(shared), 3, CONFIG)


def test_the_epoch_is_the_one_that_the_validation_people_choose(outcome):
    for fold in outcome.folds:
        scores = [(accuracy, -loss) for _, accuracy, loss in fold.history.tolist()]
        assert fold.chosen == scores.index(max(scores))
        mine = outcome.predictions.set_index("row").loc[fold.rows, loso_classes(outcome)]
        assert mine.to_numpy() == pytest.approx(fold.watched[fold.chosen])


def loso_classes(outcome):
    return list(outcome.predictions.columns[5:])


def test_what_is_watched_changes_nothing(dots, made):
    part = loso.folds(dots)[1]
    train, val, test = (made.part(p) for p in (part.train, part.val, part.test))
    config = replace(CONFIG, n_epochs=3)
    alone, watched = network.fit(train, val, 3, config), network.fit(train, val, 3, config, watch=test)
    for a, b in zip(alone.net.parameters(), watched.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_fold_holds_one_person_and_every_clip_is_named_once(dots, outcome):
    table = outcome.predictions
    assert table["row"].tolist() == dots.table["row"].tolist()
    assert table.groupby("fold")["subject"].nunique().eq(1).all()
    assert table["fold"].nunique() == 6
    for part in loso.folds(dots):
        people = [set(p.subjects) for p in (part.train, part.val, part.test)]
        assert sum(map(len, people)) == len(set.union(*people)) == 6


def test_fine_tuning_never_sees_the_person_that_is_tested(dots, net):
    frames = loso.inputs(dots, CONFIG, 24)
    part = loso.folds(dots)[2]
    train = part.train.table["row"].to_numpy()
    faces, names = loso.marks(frames, dots, train)
    other = [clip if i in train else 255 - clip for i, clip in enumerate(frames)]
    again, _ = loso.marks(other, dots, train)
    assert np.array_equal(faces, again)
    assert len(faces) == 3 * len(train)
    assert set(names[0::3]) == set(names[2::3]) == {3}  # rest
    assert names[1::3].tolist() == loso.labels_of(dots)[train].tolist()
    tuned = network.fine_tuned(net, faces, names, CONFIG)
    assert tuned.output.out_features == 4
    assert net.output.out_features == 3  # the original is left alone
    assert not torch.equal(tuned.block1.conv.weight, net.block1.conv.weight)


def test_a_leak_is_an_audit_that_says_so_and_flatters(outcome):
    assert set(outcome.picked["split"]) == {"picked on test"}
    assert accuracy(outcome.picked) >= accuracy(outcome.predictions)
    best = [
        max((epoch.argmax(axis=1) == truth_of(outcome, fold)).mean() for epoch in fold.watched)
        for fold in outcome.folds
    ]
    weights = [len(fold.rows) for fold in outcome.folds]
    assert accuracy(outcome.picked) == pytest.approx(np.average(best, weights=weights))


def truth_of(outcome, fold):
    truth = outcome.predictions.set_index("row").loc[fold.rows, "truth"]
    return pd.Index(loso_classes(outcome)).get_indexer(truth)


# ------------------------------------------------------------------------------------- a world of movement


def test_the_lstm_learns_the_direction_of_movement(outcome):
    assert accuracy(outcome.predictions) > 0.75


def test_without_movement_the_lstm_is_at_chance(dots, made):
    still = replace(made, x=network.without_movement(made.x, made.lengths))
    assert accuracy(loso.on_features(still, dots, replace(CONFIG, n_epochs=5)).predictions) <= CHANCE + 0.1


def test_lbptop_learns_the_direction_of_movement_and_nothing_without_it(dots):
    how = lbptop.LBPTOP(grid=3, radius=2, radius_t=2)
    moving = baselines.svm(baselines.lbptop_features(clips.to_length(dots, 16), how), dots)
    assert accuracy(moving) > 0.75
    still = [np.repeat(clip[:1], 16, axis=0) for clip in clips.to_length(dots, 16)]
    assert accuracy(baselines.svm(baselines.lbptop_features(still, how), dots)) <= CHANCE + 0.15


def test_flow_at_the_apex_learns_the_direction_of_movement(dots):
    assert accuracy(baselines.svm(baselines.flow_features(dots, grid=4), dots)) > 0.75
    onsets = baselines.flow_features(dots, np.zeros(len(dots), int), grid=4)
    assert np.abs(onsets).max() < 0.1  # told a wrong apex, it sees nothing


@pytest.fixture(scope="module")
def few(dots):
    return dots.select(dots.table["subject"].isin(["P0", "P1", "P2"]).to_numpy())


SHORT = replace(CONFIG, n_epochs=3, relative=False)


@pytest.fixture(scope="module")
def tuned(net, few, home):
    return loso.fine_tuned(net, few, [SHORT, replace(SHORT, relative=True)], 24)


def test_one_tuned_network_a_fold_is_read_in_two_ways(tuned, few, net):
    for made in tuned:
        assert made.predictions["row"].tolist() == few.table["row"].tolist()
        assert np.allclose(made.predictions[list(loso.classes_of(few))].sum(axis=1), 1, atol=1e-5)
    both = loso.together(tuned).predictions
    assert accuracy(both) == pytest.approx(np.mean([accuracy(made.predictions) for made in tuned]))
    as_is, relative = (made.predictions[loso.classes_of(few)].to_numpy() for made in tuned)
    assert not np.allclose(as_is, relative)
    with pytest.raises(UsageError, match="must agree in input"):
        loso.fine_tuned(net, few, [SHORT, replace(SHORT, input="difference")], 24)


def test_a_clip_in_which_nothing_moves_is_answered_without_its_movement(tuned, few, net):
    classes = loso.classes_of(few)
    relative = tuned[1].still[classes].to_numpy()
    for fold in tuned[1].folds:  # less the onset, every still clip is the same: zero
        mine = relative[few.table["row"].isin(fold.rows).to_numpy()]
        assert mine == pytest.approx(np.tile(mine[:1], (len(mine), 1)), abs=1e-6)
    assert set(tuned[0].still["split"]) == {"nothing moves"}
    assert not np.allclose(tuned[0].still[classes], tuned[0].predictions[classes])
    frames = loso.inputs(few, replace(SHORT, input="still"), 24)
    assert all((clip == clip[:1]).all() for clip in frames)


def test_a_fold_that_is_done_is_found_and_one_that_is_lost_is_made_alike(tuned, few, net, monkeypatch):
    files = sorted((paths.transfer() / "micro").glob("*.npz"), key=lambda file: file.stat().st_mtime)
    files[-1].unlink()  # as after a kill in the last fold
    met = []
    known = network.fine_tuned
    monkeypatch.setattr(network, "fine_tuned", lambda *a: met.append(1) or known(*a))
    again = loso.fine_tuned(net, few, [SHORT, replace(SHORT, relative=True)], 24)
    assert len(met) == 1
    for one, other in zip(tuned, again, strict=True):
        pd.testing.assert_frame_equal(one.predictions, other.predictions)
    changed = replace(SHORT, n_epochs=1), replace(SHORT, n_epochs=1, relative=True)
    loso.fine_tuned(net, few, changed, 24)
    assert len(met) == 4


def test_folds_that_travel_to_other_processes_give_the_same_numbers(few, made, net, monkeypatch, tmp_path):
    part = made.part(made.clips.select(np.arange(len(few))))
    here = [loso.on_features(part, few, SHORT), *loso.fine_tuned(net, few, [SHORT], 24)]
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))

    def elsewhere(task, folds, *where):  # as Dask does it: by pickle, in any order
        return [pickle.loads(pickle.dumps(task))(fold) for fold in folds[::-1]][::-1]

    monkeypatch.setattr(loso.jobs, "run", elsewhere)
    there = [loso.on_features(part, few, SHORT), *loso.fine_tuned(net, few, [SHORT], 24)]
    for one, other in zip(here, there, strict=True):
        pd.testing.assert_frame_equal(one.predictions, other.predictions)


def test_an_au_head_hands_its_answers_to_the_lstm(dots, net, tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))
    run = SimpleNamespace(
        key="synthetic-dots-emotioncnn-s0-00000000",
        config={"recipe": "paper"},
        record={"network": {"name": "EmotionCNN", "settings": {"size": 24}}},
        model=lambda: net,
    )
    coded = moving_dots(people=12, each=3, seed=3)
    where = pd.Series([float(image[:, :12].mean() > image[:, 12:].mean()) for image in coded.images])
    coded = replace(coded, table=coded.table.assign(AU12=where), digest="coded")
    frames = loso.inputs(dots, CONFIG, 24)
    made = loso.au_examples(run, coded, frames, dots)
    assert made.x.shape == (36, 8, 1)
    moved = made.x[:, -1, 0] - made.x[:, 0, 0]
    label = dots.table["label"]
    assert moved[label == "left"].mean() > moved[label == "down"].mean() > moved[label == "right"].mean()


def test_the_support_vector_machine_is_scikit_learns_own_leave_one_group_out(dots):
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    x = np.random.default_rng(0).normal(size=(len(dots), 6)) + loso.labels_of(dots)[:, None]
    machine = make_pipeline(StandardScaler(), LinearSVC(C=baselines.SVM_C, random_state=0))
    expected = cross_val_predict(
        machine, x, dots.table["label"], groups=dots.table["subject"], cv=LeaveOneGroupOut()
    )
    made = baselines.svm(x, dots)
    assert made[loso.classes_of(dots)].idxmax(axis=1).tolist() == expected.tolist()


# ------------------------------------------------------------------------------------------- what it uses


@pytest.fixture(scope="module")
def named(dots, net):
    return probes.trained_on_all(net, dots, CONFIG, 24)


def test_attribution_adds_up_to_what_movement_changes_in_the_logit(named, dots):
    x, target = named.features(dots), loso.labels_of(dots)
    still = network.without_movement(x, np.full(len(x), x.shape[1]))
    with torch.no_grad():
        logits = [named.lstm(torch.from_numpy(a)).numpy()[np.arange(len(x)), target] for a in (x, still)]
    added = probes.attribution(named.lstm, x, target, steps=64)
    assert added.shape == x.shape[:2]
    assert added.sum(axis=1) == pytest.approx(logits[0] - logits[1], abs=0.05)
    assert (added[:, 0] == 0).all()  # the onset is the same in both


def test_more_of_a_clip_and_a_faster_camera_tell_more(named):
    new = clips.of(moving_dots(seed=5))
    rng = np.random.default_rng(0)
    seen = probes.against_frames_seen(named, new, rng)
    assert seen["seen"].tolist() == pytest.approx([(t + 1) / 8 for t in range(8)])
    assert seen["value"].iloc[-1] > seen["value"].iloc[0] + 0.2
    assert seen["value"].iloc[-1] == pytest.approx(accuracy(named(new)))
    rates = probes.against(named, {fps: clips.slower_camera(new, fps) for fps in (200.0, 50.0)}, rng)
    assert rates["amount"].tolist() == [200.0, 50.0]
    assert rates["value"].iloc[0] == pytest.approx(accuracy(named(new)))
    assert "say nothing" in probes.told_by_panels([], 24)
    assert "With 24 clips" in probes.told_by_panels(["How strong"], 24)


def test_accuracy_by_au_counts_the_clips_that_show_it(dots, outcome):
    by_au = probes.accuracy_by_au(outcome.predictions, dots, np.random.default_rng(0))
    right = measures.is_right(outcome.predictions)
    left = (dots.table["label"] == "left").to_numpy()
    assert by_au["AU12"].value == pytest.approx(right[left].mean())
    assert by_au["AU10"].value == pytest.approx(right[~left].mean())
    assert set(by_au) == {"AU04", "AU10", "AU12"}


def test_aus_are_detected_from_flow_in_people_never_seen(dots):
    scores, shown = probes.au_scores(baselines.flow_features(dots, grid=4), dots)
    table = probes.detected(scores, shown, dots.table["subject"]).set_index("au")
    assert table.loc["AU12", "n"] == 12
    assert table.loc["AU12", "prevalence"] == pytest.approx(1 / 3)
    assert table.loc["AU12", "f1_always"] == pytest.approx(0.5)
    assert table.loc["AU12", "auc"] > 0.9
    found = probes.mean_auc(scores, shown, dots.table["subject"], np.random.default_rng(0))
    assert found.value == pytest.approx(table["auc"].mean())  # scikit-learn's
    assert 0.5 < found.low <= found.value <= found.high
    dealt = np.random.default_rng(0).normal(size=scores.shape)
    by_chance = probes.mean_auc(dealt, shown, dots.table["subject"], np.random.default_rng(0))
    assert by_chance.low < 0.5 < by_chance.high
    assert found.n == 6


def test_the_share_of_variance_between_people_is_known_in_a_simple_case(dots, made):
    person = pd.factorize(dots.table["subject"])[0].astype(np.float32)
    only_who = np.repeat(person[:, None, None], 8, axis=1)
    assert probes.identity_share(replace(made, x=only_who)) == pytest.approx(1.0)
    within = np.tile(np.array([-1, 1] * 4, np.float32)[None, :, None], (len(dots), 1, 1))
    assert probes.identity_share(replace(made, x=within)) == pytest.approx(0.0)
    both = only_who + within  # variance of 0..5 is 35 / 12; of -1 and 1 it is 1
    assert probes.identity_share(replace(made, x=both)) == pytest.approx((35 / 12) / (35 / 12 + 1))
