import itertools
import random

import numpy as np
import polars as pl
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.kernels import buffers
from filters.text.minhash import key, signatures
from filters.text.normalisation import normalise
from pipeline.core.errors import BuildError
from pipeline.dedup import bands as banding
from pipeline.dedup import clusters, exchange, minhash, runs
from pipeline.dedup.bands import band_keys, bands_and_rows
from pipeline.dedup.clusters import find_components
from pipeline.dedup.facts import FACTS, Inquiry, best_first
from pipeline.dedup.runs import divide_into_runs, run_of_records
from pipeline.dedup.verification import SKETCHES
from pipeline.manifest.loading import load
from pipeline.steps.decide import decide
from pipeline.workspace import Layout, Part, write_layout
from tests.support.parts import measure_documents

LETTERS = "あいうえおかがきぎくけこさしすせそただちってとなにのはひほまみむもやゆよらりるれろ吾輩猫名前無所見当東京大阪電車会社昨日今明"
RULELESS = load("cc100-ja", ["rules={}", "clean.boilerplate=false"])


def shingles(text):
    whole = key(pl.Series([text]))[0]
    return {whole[i : i + 5] for i in range(len(whole) - 4)} or {whole}


def jaccard(a, b):
    return len(a & b) / len(a | b)


@pytest.fixture(scope="module")
def deduplicated(tmp_path_factory):
    """Documents in partitions, deduplicated by the steps of a build: a row for each, in the order given."""

    def run(partitions, first=0, content=True, **constants):
        """Deduplicate documents, the first of which has the number `first`, by what they say where `content`.

        `constants` of the modules, in capitals, are replaced by small ones.
        """
        folder = tmp_path_factory.mktemp("dedup")
        parts, texts = [], []
        if first:
            parts.append(measure_documents(RULELESS, folder / "m", len(partitions), []))  # said to have `first` documents
            decide(RULELESS, parts[0], 0, folder / "d")
        for index, documents in enumerate(partitions):
            parts.append(measure_documents(RULELESS, folder / "m", index, documents))
            decide(RULELESS, parts[-1], len(parts) - 1, folder / "d")
            texts += documents
        records = [first] * bool(first) + [len(documents) for documents in partitions]
        layout = Layout(
            write_layout(folder / "layout.parquet", parts, records),
            folder / "d",
            folder / "c",
            len(texts),
            RULELESS.deduplicate.model_copy(update={"content": content}),
        )
        layout.folder.mkdir()
        bases = layout.bases
        number_of = [pl.read_parquet(part.table)["locator"].to_list() for part in parts]

        def ids(index, records):
            return pl.Series([str(bases[index] + number_of[index].index(locator)) for locator in records["locator"]])

        with pytest.MonkeyPatch.context() as patch:
            for name, value in constants.items():
                (module,) = (m for m in (banding, runs, exchange, clusters) if hasattr(m, name))
                patch.setattr(module, name, value)
            for tasks in minhash.rounds(layout, ids):
                for function, arguments in tasks:
                    counts = function(*arguments)
        pieces = [
            pl.read_parquet(layout.clusters(i)).with_columns(document=pl.col("row").cast(pl.Int64) + bases[i])
            for i in range(layout.partitions)
        ]
        measures = pl.concat(pl.read_parquet(part.table, columns=["m:quality", "m:chars"]) for part in parts)
        frame = pl.DataFrame({"document": np.arange(len(texts)) + first, "text": texts}).hstack(measures)
        return frame.join(pl.concat(pieces), on="document", how="left", maintain_order="left"), counts, layout

    return run


def test_what_is_a_duplicate_of_what(deduplicated):
    cat = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で泣いていた事だけは記憶している。"
    partitions = [
        [cat, "親譲りの無鉄砲で小供の時から損ばかりしている。"],
        [cat + "\u3000\n", cat.replace("。", "\n"), cat.replace("吾輩", "我輩"), "山路を登りながら、こう考えた。"],
    ]
    frame, counts, _ = deduplicated(partitions)
    assert frame["duplicate_of"].to_list() == [None, None, "0", "0", "0", None]
    assert frame["exact"].to_list() == [None, None, True, False, False, None]
    # Equal but for punctuation: nearly equal. 1 is for texts that are the same when they are cleaned.
    assert frame["similarity"].to_list()[2:4] == [1, pytest.approx(0.9999)] and 0.8 < frame["similarity"][4] < 0.9999
    assert frame["cluster_id"].to_list() == ["0", None, "0", "0", "0", None]
    assert frame["cluster_size"].to_list() == [4, None, 4, 4, 4, None]
    assert (counts["clusters"], counts["in_clusters"], counts["exact"], counts["near"]) == (1, 4, 1, 2)


def test_a_record_is_dropped_for_a_survivor_that_it_is_like_alone(deduplicated):
    """The third is like the second, which is a duplicate of the first; it is not like the first, and survives."""
    drawn = random.Random(3)
    first = drawn.choices(LETTERS, k=900)
    second, third = list(first), list(first)
    for at in range(0, 450, 25):
        second[at] = third[at] = "Ж"
    for at in range(450, 900, 60):
        third[at] = "Ж"
    texts = ["".join(first) + "である。", "".join(second) + "で。", "".join(third)]
    similar = [jaccard(shingles(a), shingles(b)) for a, b in ((texts[0], texts[1]), (texts[1], texts[2]), (texts[0], texts[2]))]
    assert min(similar[:2]) > 0.8 and similar[2] < 0.77
    for content in (True, False):
        frame, _, _ = deduplicated([texts], content=content)
        assert frame["duplicate_of"].to_list() == [None, "0", None]


SIGNS = [
    ("1.5 g", "15 g"), ("-5.0", "50"), ("−5℃", "5℃"), ("C++", "C#"), ("C++", "C"), ("F#", "F"), ("A+", "A-"), ("○", "×"), ("◎", "△"),
    ("✓", "✗"), ("♂", "♀"), ("●", "○"), ("★★☆", "★☆☆"), ("1/2", "12"), ("½", "12"), ("10²", "102"), ("3:00", "300"), ("3〜5", "35"),
    ("1.5", "1,5"), ("±3", "+3"), ("5%", "5‰"), ("$5", "¥5"), ("x ≧ 1", "x ≦ 1"), ("x > 1", "x < 1"), ("↑", "↓"), ("12 3", "1 23"),
]  # fmt: skip


@pytest.mark.parametrize(
    "surroundings",
    ["{}", "答えは{}でした。", "表1 結果の一覧\n項目\t値\t備考\n測定値\t{}\t" + "同じ言葉が続く長い頁である。" * 200],
)
def test_texts_in_which_only_a_sign_differs_are_never_equal(deduplicated, surroundings):
    texts = [surroundings.replace("{}", sign) for pair in SIGNS for sign in pair]
    frame, _, _ = deduplicated([texts, texts])
    for document, duplicate_of, similarity, exact in frame.select(
        "document", "duplicate_of", "similarity", "exact"
    ).iter_rows():
        is_same = duplicate_of is not None and texts[int(duplicate_of) % len(texts)] == texts[document % len(texts)]
        assert exact is not True or is_same and similarity == 1
        assert exact is not False or similarity < 1
    if len(surroundings) < 20:  # so few characters that a sign makes another text
        clusters = frame["cluster_id"].to_list()
        assert all(clusters[i] != clusters[i + 1] for i in range(0, len(texts), 2))


def texts_of_clusters(frame):
    """The texts of every cluster, as often as each is there."""
    found = frame.filter(pl.col("cluster_id").is_not_null()).group_by("cluster_id").agg(pl.col("text").sort())
    return sorted(map(tuple, found["text"].to_list()))


@st.composite
def unambiguous_corpora(draw):
    """Partitions of documents of which every two have a similarity of 0.94 and more or of 0.5 and less; some are very short."""
    drawn = random.Random(draw(st.integers(0, 2**32)))
    documents = []
    for _ in range(draw(st.integers(1, 5))):
        base = "".join(drawn.choices(LETTERS, k=drawn.randint(600, 900)))
        for kind in draw(st.lists(st.sampled_from(["same", "marks", "edit", "half", "longer"]), max_size=4)):
            at = drawn.randrange(100, 500)
            documents.append(
                {
                    "same": base,
                    "marks": base[:at] + "、「" + base[at:] + "。",
                    "edit": base[:at] + "ん" + base[at:],  # nothing is replaced
                    "half": base[: len(base) // 2] + "".join(drawn.choices(LETTERS, k=len(base) // 2)),
                    "longer": base + "おわり",
                }[kind]
            )
        documents.append(base)
    documents += draw(
        st.lists(st.sampled_from(["あい", "あい。", "ｱｲ", "アイ", "かき", "がき", "三文字", "四文字だ"]), max_size=5)
    )
    drawn.shuffle(documents)
    cuts = sorted(draw(st.lists(st.integers(1, max(1, len(documents) - 1)), max_size=2, unique=True)))
    return [p for p in (documents[a:b] for a, b in zip([0, *cuts], [*cuts, len(documents)])) if p]


@given(unambiguous_corpora())
@settings(max_examples=20, deadline=None)
def test_clusters_and_survivors_are_those_of_comparing_all_pairs(deduplicated, partitions):
    frame, _, _ = deduplicated(partitions)
    keys = [shingles(text) for text in frame["text"]]
    pairs = []
    for i, j in itertools.combinations(range(len(keys)), 2):
        similarity = jaccard(keys[i], keys[j])
        assert similarity <= 0.5 or similarity >= 0.94
        if similarity > 0.5:
            pairs.append((i, j, similarity))
    head = find_components(len(keys), np.array([p[0] for p in pairs], np.int64), np.array([p[1] for p in pairs], np.int64))
    quality, chars = frame["m:quality"].to_list(), frame["m:chars"].to_list()
    for group in set(head):
        members = [i for i in range(len(keys)) if head[i] == group]
        rows = frame[members]
        if len(members) == 1:
            assert rows["cluster_id"].to_list() == rows["duplicate_of"].to_list() == [None]
            continue
        best = min(members, key=lambda i: (-round(quality[i] * 20), -chars[i], i))
        assert set(rows["cluster_id"]) == {str(best)}
        assert set(rows["cluster_size"]) == {len(members)}
        for i, duplicate_of, similarity, exact in zip(members, rows["duplicate_of"], rows["similarity"], rows["exact"]):
            if i == best:
                assert (duplicate_of, similarity, exact) == (None, None, None)
            else:
                assert duplicate_of == str(best)
                assert similarity == pytest.approx(jaccard(keys[i], keys[best]), abs=0.06)
                assert exact == (normalise(frame["text"])[i] == normalise(frame["text"])[best])


@given(unambiguous_corpora(), st.randoms(use_true_random=False))
@settings(max_examples=6, deadline=None)
def test_the_order_of_partitions_changes_no_cluster(deduplicated, partitions, drawn):
    frame, counts, _ = deduplicated(partitions)
    documents = [[d] for p in partitions for d in p]
    drawn.shuffle(documents)
    other, other_counts, _ = deduplicated(documents)
    assert texts_of_clusters(other) == texts_of_clusters(frame)
    assert other["duplicate_of"].null_count() == frame["duplicate_of"].null_count()
    for name in ("clusters", "in_clusters"):
        assert counts[name] == other_counts[name]


@pytest.fixture(scope="module")
def graded():
    """200 documents and, of each, a copy whose similarity is known: about 0.85."""
    drawn = random.Random(5)
    documents = []
    for _ in range(200):
        base = drawn.choices(LETTERS, k=600)
        copy = list(base)
        for at in range(0, 600, 60):
            copy[at] = "Ж"
        documents += ["".join(base), "".join(copy)]
    return documents


def test_ranges_runs_passes_and_buckets_change_nothing(deduplicated, graded):
    partitions = [graded[i : i + 9] for i in range(0, len(graded), 9)]
    one, one_counts, layout = deduplicated(partitions)
    many, many_counts, layout_many = deduplicated(partitions, ROWS_PER_RANGE=300, PARTITIONS=3, RECORDS_PER_BUCKET=20, FAN_IN=3)
    assert len(list(layout.folder.glob("pairs-0*.npy"))) == 1
    assert len(list(layout_many.folder.glob("pairs-0*.npy"))) > 10
    assert len(list(layout_many.folder.glob("bands-2-*.json"))) >= 4  # markers of the second pass
    assert not list(layout_many.folder.glob("*.bin"))
    assert many.equals(one) and many_counts == one_counts and one_counts["clusters"] > 150


def test_tasks_that_were_done_are_not_done_again(deduplicated, graded):
    _, counts, layout = deduplicated([graded[:100], graded[100:]])
    for number in range(2):
        layout.part(number).table.unlink()
    for tasks in minhash.rounds(layout, None):
        for function, arguments in tasks:
            again = function(*arguments)
    assert again == counts


def test_candidates_are_found_as_datasketch_finds_them(deduplicated, graded):
    sets = [shingles(text) for text in graded]
    similar = [jaccard(sets[i], sets[i + 1]) for i in range(0, len(sets), 2)]
    assert 0.8 < min(similar) and max(similar) < 0.9
    bands, rows = bands_and_rows(0.8, 112)
    lsh = MinHashLSH(threshold=0.8, num_perm=112, params=(bands, rows))
    sketches = []
    for number, found in enumerate(sets):
        sketch = MinHash(num_perm=112)
        sketch.update_batch([s.encode() for s in found])
        sketches.append(sketch)
        lsh.insert(number, sketch)
    theirs = sum(i + 1 in lsh.query(sketches[i]) for i in range(0, len(sets), 2)) / 200
    made = signatures(*buffers(pl.Series(graded)))
    every = np.arange(len(graded))
    keys, documents = band_keys(made.minima.astype(np.uint16), every, made.keys, np.ones(len(graded), bool), bands, rows)
    of = [set(keys[documents == number]) for number in every]
    ours = sum(bool(of[i] & of[i + 1]) for i in range(0, len(sets), 2)) / 200
    assert ours >= 0.95 and abs(ours - theirs) < 0.05
    # And verified: all of them lie above the threshold, so all candidates are found to be duplicates.
    frame, _, _ = deduplicated([graded])
    assert frame["duplicate_of"].is_not_null().sum() >= (ours - 0.02) * 200


@pytest.mark.parametrize(("threshold", "permutations"), [(0.5, 32), (0.7, 64), (0.8, 112), (0.95, 64)])
def test_bands_and_rows_are_those_of_datasketch(threshold, permutations):
    oracle = MinHashLSH(threshold=threshold, num_perm=permutations, weights=(0.1, 0.9))
    assert bands_and_rows(threshold, permutations) == (oracle.b, oracle.r)


def test_bands_and_rows_fit_and_catch_what_is_over_the_threshold():
    for threshold in (0.5, 0.7, 0.8, 0.9):
        bands, rows = bands_and_rows(threshold, 112)
        assert bands * rows <= 112
        assert 1 - (1 - (threshold + 0.05) ** rows) ** bands > 0.92


def test_priorities():
    quality = np.array([0.5, 0.9, 0.9, 0.9, np.nan, 0.9])
    chars = np.array([900, 100, 200, 200, 5, 2**30])
    facts = np.zeros(6, FACTS)
    facts["priority"] = minhash.priorities(quality, chars)
    assert best_first(np.arange(10, 16), facts).tolist() == [5, 2, 3, 1, 0, 4]
    assert best_first(np.arange(16, 10, -1), facts).tolist() == [5, 3, 2, 1, 0, 4]
    assert best_first(np.arange(6), facts, np.array([1, 0, 1, 0, 1, 0])).tolist() == [5, 3, 1, 2, 0, 4]


def test_a_group_that_several_ranges_found_is_compared_once():
    rows = [
        [(7, 1), (7, 5), (9, 1), (9, 2)],
        [],
        [(9, 2), (9, 1), (8, 3), (8, 4), (7, 5), (7, 1)],
        [(8, 3), (8, 4), (6, 0), (6, 9)],
    ]
    documents, sizes = minhash._distinct_groups([np.array(part, minhash._MEMBER) for part in rows])
    assert documents.tolist() == [1, 5, 1, 2, 3, 4, 0, 9] and sizes.tolist() == [2, 2, 2, 2]


def test_groups_are_named_by_the_set_of_their_documents():
    groups = [[1, 2], [2, 1], [0, 1, 2], [0], [1], [0, 1], [3], [2**40, 1]]
    starts = np.cumsum([0, *map(len, groups)])
    names, homes = minhash._name_groups(np.array([d for group in groups for d in group]), starts)
    assert names[0] == names[1] and len(set(names.tolist())) == len(groups) - 1
    assert homes[0] == homes[1] == homes[4] == homes[7] and homes[2] == homes[3] == homes[5]


def test_runs_hold_few_records_and_few_partitions(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RECORDS", 100)
    monkeypatch.setattr(runs, "PARTITIONS", 4)

    def divide(records):
        parts = [Part(tmp_path, str(index)) for index in range(len(records))]
        layout = Layout(write_layout(tmp_path / f"{len(list(tmp_path.iterdir()))}", parts, records), None, None, 0, None)
        cuts = divide_into_runs(layout)
        numbers = run_of_records(layout, np.arange(layout.bases[0], layout.bases[-1]))
        assert numbers.tolist() == [k for k, (a, b) in enumerate(itertools.pairwise(cuts)) for _ in range(sum(records[a:b]))]
        return cuts.tolist()

    assert divide([50, 50, 1, 200, 99, 0, 1, 1]) == [0, 2, 3, 4, 7, 8]
    assert divide([1] * 9) == [0, 4, 8, 9]
    assert divide([0, 0, 0, 0, 0, 3]) == [0, 4, 6]


@pytest.mark.parametrize("first", [2**32 - 2, 2**33 + 5])
def test_documents_may_be_numbered_beyond_32_bits(deduplicated, graded, first):
    partitions = [graded[:50], graded[50:51], graded[51:]]
    expected, expected_counts, _ = deduplicated(partitions)
    frame, counts, layout = deduplicated(partitions, first=first)
    assert counts == expected_counts and counts["clusters"] > 150
    for name in ("duplicate_of", "cluster_id"):
        assert (frame[name].cast(pl.Int64) - first).equals(expected[name].cast(pl.Int64), check_names=False)
    assert frame.select("similarity", "exact", "cluster_size").equals(expected.select("similarity", "exact", "cluster_size"))
    assert pl.read_parquet(layout.clusters(3))["survivor"].min() >= first


def test_more_records_than_can_be_numbered_are_refused(tmp_path):
    with pytest.raises(BuildError, match="records"):
        table = write_layout(tmp_path / "layout.parquet", [Part(tmp_path, "0")], [2**40 + 1])
        Inquiry.of(Layout(table, tmp_path, tmp_path, 1, None), "x", 1, 1)


def test_nothing_to_find(deduplicated):
    frame, counts, layout = deduplicated([["一つ目の文書。"], ["二つ目の文書だ。"]])
    assert frame["cluster_id"].null_count() == 2 and counts["clusters"] == 0
    assert layout.clusters(0).is_file()


STATION = (
    "{0}駅は、{1}県{2}町にある駅である。単式ホームを持つ地上駅で、駅員のいない無人駅となっている。駅舎は木造で、待合室に自動券売機が置かれている。"
    "一日の平均乗車人員は{3}人である。駅前には商店が数軒あるほかは田畑が広がっており、少し歩くと国道に出る。開業した当初は貨物も扱っていた。"
    "ホームからは山並みを望むことができ、春には線路沿いの桜が咲く。"
)
STATIONS = [STATION.format(name, "埼玉", "小川", count) for name, count in (("大和田", 214), ("白浜口", 88), ("鳥越", 1301))]


def test_pages_of_one_frame_are_kept_and_their_copies_are_not(deduplicated):
    copies = [f"みんなの鉄道\n{text}\n前のページへ" for text in STATIONS]
    frame, counts, _ = deduplicated([[STATIONS[0], *copies], STATIONS[1:]])
    survivors = frame.filter(pl.col("duplicate_of").is_null())["text"].to_list()
    assert len(survivors) == 3 and {text.split("駅は")[0].split("\n")[-1] for text in survivors} == {"大和田", "白浜口", "鳥越"}
    assert counts["near"] == 3 and counts["told_apart"] >= 2
    # A page and its copy are a cluster; pages of one frame are not.
    assert frame["cluster_size"].to_list() == [2] * 6 and frame["cluster_id"].n_unique() == 3


def test_a_copy_that_was_compared_with_another_page_of_its_frame_alone_is_found():
    """Only the first page is a neighbour of the third, which is a copy of the second: pages of the first one's frame are looked at."""
    copy = f"みんなの鉄道\n{STATIONS[1]}"
    texts = pl.Series([STATIONS[0], STATIONS[1], copy])
    data, offsets = buffers(texts)
    signed = signatures(data, offsets, bins=512)
    starts, neighbours = np.array([0, 0, 1, 2]), np.array([0, 0])
    compared = clusters.make_texts(data, offsets)
    duplicate_of, similar, _, told_apart = clusters.choose_survivors(
        starts, neighbours, np.arange(3), signed.sketches, signed.exact, signed.keys, signed.lengths, 0.5, SKETCHES, compared
    )
    assert duplicate_of.tolist() == [-1, -1, 1] and similar[2] > 0.9 and told_apart == 2


def test_what_is_of_one_frame_does_not_depend_on_partitions(deduplicated):
    texts = [
        STATION.format(f"{a}{b}", "埼玉", "小川", 10 * k) for k, (a, b) in enumerate(itertools.product("大小上下", "川山田野"))
    ]
    texts += [text.replace("、", "，") + "関連項目" for text in texts[::3]]
    one, one_counts, _ = deduplicated([texts])
    many, many_counts, _ = deduplicated([texts[k : k + 4] for k in range(0, len(texts), 4)], ROWS_PER_RANGE=30, FAN_IN=2)
    assert (
        one["duplicate_of"].to_list() == many["duplicate_of"].to_list()
        and one_counts["told_apart"] == many_counts["told_apart"]
    )
    assert one["duplicate_of"].null_count() == 16
