import unicodedata

import numpy as np
import polars as pl
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.kernels import buffers
from filters.text.minhash import PERMUTATIONS, SHINGLE, SKETCH_BINS, key, permutations, signatures, sketch_similarity
from filters.text.normalisation import normalise

WORDS = (
    "私 彼女 先生 学生 東京 大阪 電車 会社 昨日 今日 明日 天気 勉強 仕事 料理 新聞 テレビ コンピューター インターネット データ "
    "食べる 飲む 走る 考える 話す 聞く 書く 読む 作る 見つける 始まる 終わる 大きい 小さい 新しい 古い 静か 便利 有名 特別 "
    "は が を に で と も から まで より という について によって ため こと もの とき です ます でした ました である だろう"
).split()


def key_of(text):
    return key(normalise(pl.Series([text]))).to_list()[0]


def sign(*texts, **options):
    return signatures(*buffers(pl.Series(texts, dtype=pl.String)), **options)


def shingles(text):
    k = key_of(text)
    return {k[i : i + SHINGLE] for i in range(len(k) - SHINGLE + 1)}


def jaccard(a, b):
    a, b = shingles(a), shingles(b)
    return len(a & b) / len(a | b)


@pytest.fixture(scope="module")
def pairs():
    """Texts and edited copies: words replaced, inserted, removed; exact similarities from 0.3 to 1."""
    random = np.random.default_rng(7)
    found, similarities = [], []
    while len(found) < 400:
        words = list(random.choice(WORDS, random.integers(60, 300)))
        edited = []
        rate = random.random() * 0.2
        for word in words:
            change = random.random()
            if change >= rate:
                edited.append(word)
            elif change < rate * 0.8:
                edited += list(random.choice(WORDS, random.integers(1, 3)))
        a, b = "".join(words), "".join(edited)
        similarity = jaccard(a, b)
        # As many of every similarity, so that a bias at one end is not drowned by the other.
        if similarity >= 0.3 and sum(int(s * 10) == int(similarity * 10) for s in similarities) < 60:
            found.append((a, b))
            similarities.append(similarity)
    return found, np.array(similarities)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("ﾊﾞｲｵﾘﾝ", "バイオリン"),
        ("か\u3099くせい", "がくせい"),
        ("ＡＢＣ１２３", "abc123"),
        ("ABC", "abc"),
        ("É", "é"),
        ("吾輩は、猫である。", "吾輩は猫である"),
        ("吾輩は\n猫で\u3000ある ", "吾輩は猫である"),
        ("「猫」（ねこ）♪", "猫ねこ"),
        ("■猫\n★ねこ", "猫ねこ"),
        ("1,000円、12,345,678人", "1000円12345678人"),
        ("A−B—C", "a-b―c"),
        ("2021年4月 発売 - 全3巻", "2021年4月発売全3巻"),
        ("①②", "12"),
        ("㈱日本", "株日本"),
        ("葛\U000e0100飾区", "葛飾区"),
        ("好き❤\ufe0f👨\u200d👩", "好き"),
    ],
)
def test_one_key(a, b):
    assert key_of(a) == key_of(b)


@pytest.mark.parametrize("ab", ["か が", "は ぱ", "ば ぱ", "か カ", "つ っ", "ビル ビール", "1 2", "人 入"])
def test_different_keys(ab):
    a, b = map(key_of, ab.split())
    assert a != b


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5 g と 15 g、-5.0 と 50", "1.5gと15g-5.0と50"),
        ("C++、C#、C。F#、F♯。A+、A-、AB-", "c++c#cf#f♯a+a-ab-"),
        ("○ ◯ × ✕ ◎ △ ● ✓ ♂ ♀ ⭕ ❌", "○○××◎△●✓♂♀○×"),
        ("−10℃、10°C、10 ℃", "-10°c10°c10°c"),
        ("1/2、1/2、1½、11/2、12", "1/2,1/2,1 1/2,11/2,12"),
        ("10²、102、10⁻³、m²", "10^2,102,10-3m2"),
        ("3:00、300、2:1", "3:00,300,2:1"),
        ("1,000と1000と1,2,3と1、000", "1000と1000と1,2,3と1,000"),
        ("3〜5、3-5、3–5、35", "3〜5,3-5,3-5,35"),
        ("12 3\n4（5）6…7", "12 3 4 5 6 7"),
        ("$100 ¥100 -$5 ▲5", "$100¥100-$5▲5"),
        ("x > 5、y<-1、z ≠ 3", "x>5y<-1z≠3"),
        ("二・五倍、二五倍、東京・大阪", "二・五倍二五倍東京大阪"),
        ("●会社\n■ 業務\n評価：★★★☆☆", "会社業務評価★★★☆☆"),
        ("今日は#猫 #タグ、第1回。2回目", "今日は猫タグ第1回2回目"),
        ("exam-\nple、well-known、km/h", "examplewellknownkmh"),
        ("ver.1.0.3、v1.03、50%、50", "ver.1.0.3v1.03,50%50"),
        ("x < y、x>y、a >= b、n<=5、a != b、E=mc2", "x<yx>ya>=bn<=5a!=be=mc2"),
        ("Rh(+)、Rh（－）、HBs抗原：＋\n結果：-", "rh+rh-hbs抗原+結果-"),
        ("5′、5″、5'", "5′5″5"),
        ("A-です、Aです、e-ラーニング", "a-ですaですeラーニング"),
        ("O²⁻、三．五、三五", "o2-三.五三五"),
        ("5 %、5%、5 〜%", "5%5%5"),
        ("♠5♥K大好き♥ ☀☂👍👎⚪⚫", "♠5k大好き☀☂👍👎○⚫"),
    ],
)
def test_signs_that_change_what_is_said_are_in_the_key(text, expected):
    assert key_of(text) == expected


@given(text=st.text(st.one_of(st.sampled_from("あがｶﾞＡa1①㈱、。 \n漢々ー.-+#½²○★"), st.characters(codec="utf-8")), max_size=30))
@settings(max_examples=150, deadline=None)
def test_key_holds_letters_digits_and_some_signs(text):
    k = key_of(text)
    # Planes 2 and 3 are taken for Han whether assigned or not.
    odd = [c for c in k if unicodedata.category(c)[0] in "PSZC" and not 0x20000 <= ord(c) < 0x40000]
    assert all(unicodedata.category(c) in ("Sm", "Sc", "So", "Sk") or c in " .,:/-#%‰′″*・·∙⋅〜°§" for c in odd)
    found = sign(normalise(pl.Series([text])).to_list()[0])
    assert found.lengths[0] == len(k)


def test_signatures_of_an_expanding_key():
    # The key of ﷺ is many times as long as the text: scratch has to be.
    text = "ﷺ㍿㌀" * 2000
    assert sign(text).lengths[0] == len(key(pl.Series([text])).to_list()[0])


@given(texts=st.lists(st.text(st.sampled_from("あいうえおアイ漢字aＡ、 \n㈱"), max_size=60), max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_signature_does_not_depend_on_its_batch(texts):
    together = sign(*texts, bins=64)
    for d, text in enumerate(texts):
        alone = sign(text, bins=64)
        assert all((whole[d] == part[0]).all() for whole, part in zip(together, alone))


@given(
    text=st.text(st.sampled_from("あいうえお漢字abc"), min_size=1, max_size=60),
    noise=st.text(st.sampled_from(" 、。\n♪「」"), max_size=5),
)
@settings(max_examples=100, deadline=None)
def test_equal_keys_have_equal_signatures(text, noise):
    found = sign(text, "".join(c + noise for c in text), bins=64)
    assert all((part[0] == part[1]).all() for part in found._replace(exact=found.keys))
    assert (found.exact[0] == found.exact[1]) == (not noise)
    assert found.lengths[0] == len(text)


def test_order_and_repetition_of_shingles_do_not_matter():
    found = sign("あいうえおか" * 2 + "あいうえ", "あいうえおか" * 5 + "あいうえ", bins=64)
    assert (found.minima[0] == found.minima[1]).all() and (found.sketches[0] == found.sketches[1]).all()
    assert found.exact[0] != found.exact[1]


def test_short_keys_are_compared_by_their_hash_alone():
    texts = ["", "あ", "い", "ああ", "あい", "いあ", "あいうえ", "あいう え", "あいえう"]
    found = sign(*texts, bins=64)
    assert (found.minima == 0xFFFFFFFF).all() and not found.sketches.any()
    assert found.lengths.tolist() == [0, 1, 1, 2, 2, 2, 4, 4, 4]
    assert found.keys[6] == found.keys[7] and len(set(found.keys.tolist())) == len(texts) - 1
    assert len(set(found.exact.tolist())) == len(texts)
    found = sign("あいうえお", bins=64)
    assert not (found.minima == 0xFFFFFFFF).any() and found.sketches.any()


def test_exact_hashes_of_similar_texts_differ():
    texts = [f"第{i}条第{j}項" for i in range(300) for j in range(100)]
    assert len(set(sign(*texts).exact.tolist())) == len(set(sign(*texts).keys.tolist())) == len(texts)


def test_permutations_are_permutations():
    a, b = permutations(PERMUTATIONS)
    assert (a % 2 == 1).all() and len(set(a.tolist())) == len(set(b.tolist())) == PERMUTATIONS
    assert (permutations(PERMUTATIONS, seed=2)[0] != a).any()
    found = sign("あいうえおかきくけこ", count=16, seed=3).minima
    assert found.shape == (1, 16)
    assert (found != sign("あいうえおかきくけこ", count=16, seed=4).minima).all()


def estimates(pairs, **options):
    left = sign(*(a for a, _ in pairs), **options).minima
    right = sign(*(b for _, b in pairs), **options).minima
    return (left == right).mean(1)


def test_estimates_are_unbiased(pairs):
    texts, exact = pairs
    error = estimates(texts) - exact
    assert abs(error.mean()) <= 0.01
    assert abs(error).mean() <= 0.035
    # With many permutations what is left of the error is bias, if there is any.
    error = estimates(texts, count=2048, seed=5) - exact
    assert abs(error.mean()) <= 0.003
    assert abs(error).mean() <= 0.012


def test_sketches_estimate_similarity(pairs):
    texts, exact = pairs
    sketches = sign(*(text for pair in texts for text in pair), bins=SKETCH_BINS).sketches
    error = np.array([sketch_similarity(sketches, 2 * i, 2 * i + 1) for i in range(len(texts))]) - exact
    assert abs(error.mean()) <= 0.005
    assert abs(error).mean() <= 0.02


def test_sketches_of_unlike_and_of_no_text():
    random = np.random.default_rng(3)
    texts = ["".join(map(chr, 0x4E00 + random.integers(0, 5000, 2000))) for _ in range(40)]
    sketches = sign(*texts, "あ", "", bins=SKETCH_BINS).sketches
    similarities = [sketch_similarity(sketches, i, i + 1) for i in range(39)]
    assert np.mean(similarities) <= 0.003 and max(similarities) <= 0.02
    assert sketch_similarity(sketches, 40, 41) == sketch_similarity(sketches, 0, 40) == 0
    assert sketch_similarity(sketches, 0, 0) == pytest.approx(1)


def test_agrees_with_datasketch(pairs):
    texts, exact = pairs
    texts, ours = texts[:120], estimates(texts[:120])

    def oracle(text):
        found = MinHash(num_perm=PERMUTATIONS)
        found.update_batch([s.encode() for s in shingles(text)])
        return found

    theirs = np.array([oracle(a).jaccard(oracle(b)) for a, b in texts])
    assert abs((ours - theirs).mean()) <= 0.015
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9  # both scatter by 0.04
    assert abs(ours - exact[:120]).mean() <= 1.25 * abs(theirs - exact[:120]).mean()


@pytest.mark.parametrize(
    "text",
    [
        "１，０００円は１．５倍！（－５℃）：＋",
        "全角のＣ＋＋とＣ＃、ｶﾞｷﾞｸﾞ、ﾊﾟﾋﾟ、ｘ！＝ｙ、Ａ－です",
        "\u3000また，０．５％／日、３～５、１／２、￥１００、＃１",
        "ｆｕｌｌｗｉｄｔｈ：ａ＜ｂ、ｘ\u3000＝\u3000２、Ｏ－型、Ａ＋",
    ],
)
def test_the_key_of_text_that_keeps_its_widths_is_that_of_folded_text(text):
    kept, folded = (normalise(pl.Series([text]), width=width).to_list()[0] for width in ("keep", "fold"))
    assert kept == text.strip("\u3000") or kept == text
    one, other = sign(kept), sign(folded)
    assert one.keys.tolist() == other.keys.tolist() and (one.minima == other.minima).all()
