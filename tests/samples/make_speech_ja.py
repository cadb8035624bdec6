"""Write the sample of the manifest `speech-ja` to manifests/samples: `speech-ja.tar` and `speech-ja.truth.jsonl`.

    python tests/samples/make_speech_ja.py

Nobody speaks in it: every mora of a sentence's reading becomes a vowel, harmonics under three formants, a consonant a dip or a hiss, at
the rate at which Japanese is spoken. So durations, silences and loudness are those of speech, and nothing is anyone's voice.
What a recording or a transcript can have wrong with it is planted and labelled in the truth file. The layout is WebDataset's:
KEY.flac (wav, mp3) and KEY.json with `text`, `speaker`, and `pred_text` where a second transcript is planted.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import soundfile

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
NAME = "speech-ja"
RATE = 16_000
SEED = 20261124

SENTENCES = """
今朝はとても冷えたので、池に薄い氷が張っていました。
駅前の本屋で、新しい地図を二冊買いました。
弟は庭の柿の木に登って、実をひとつ取りました。
明日の会議は三時からに変わりました。
この橋を渡ると、小さな神社が見えます。
祖母は毎朝、縁側でお茶を飲みます。
雨がやんだら、洗濯物を外に干してください。
図書館は月曜日がお休みです。
この坂道は自転車で登るには急すぎます。
台所から味噌汁のいい匂いがします。
猫が窓のそばで丸くなって寝ています。
来週の土曜日に、山へ栗を拾いに行きます。
電車が遅れて、約束の時間に間に合いませんでした。
父は若いころ、船で世界を回ったそうです。
この絵は百年前に描かれたものです。
夕焼けがきれいなので、写真を撮りました。
隣の家から、ピアノの音が聞こえてきます。
大根と豆腐を鍋に入れて、十分ほど煮ます。
校庭の桜が、昨日の風で散ってしまいました。
荷物は玄関に置いておいてください。
姉は東京の大学で薬学を学んでいます。
この川では、夏になると蛍が見られます。
手紙の返事がまだ届きません。
漁師たちは夜明け前に港を出ます。
切符をなくさないように気をつけましょう。
子どもたちは公園で雪だるまを作りました。
この店の蕎麦は、手打ちで香りが高いです。
昨日から喉が痛くて、声が出ません。
古い時計を修理に出しました。
みかんの皮をむいて、半分に分けました。
窓を開けると、潮の香りがしました。
会場には五百人ほどの観客が集まりました。
消しゴムを机の下に落としてしまいました。
種をまいてから、芽が出るまで十日かかります。
先生は黒板に大きな円を描きました。
バスを降りたら、右に曲がってください。
この布は丈夫で、洗っても縮みません。
星がたくさん見えるので、部屋の明かりを消しました。
村の祭りでは、太鼓の音が夜まで響きます。
旅の荷物は、なるべく軽いほうがいいです。
""".split()

# Formants in Hz of アイウエオ: a textbook's averages (Chiba and Kajiyama measured much the same in 1941).
FORMANTS = {
    "ア": (780, 1240, 2540),
    "イ": (290, 2250, 3010),
    "ウ": (340, 1260, 2380),
    "エ": (470, 1900, 2540),
    "オ": (480, 820, 2560),
}
ROWS = {
    "ア": "アカサタナハマヤラワガザダバパァャ", "イ": "イキシチニヒミリギジヂビピィ", "ウ": "ウクスツヌフムユルグズヅブプゥュ",
    "エ": "エケセテネヘメレゲゼデベペェ", "オ": "オコソトノホモヨロヲゴゾドボポォョ",
}  # fmt: skip
VOWEL = {kana: vowel for vowel, row in ROWS.items() for kana in row}
HISSING = set("カキクケコサシスセソタチツテトハヒフヘホパピプペポ")


@dataclass(frozen=True)
class Voice:
    name: str
    pitch: float  # Hz
    mora: float  # seconds
    tract: float  # formants, times


VOICES = [
    Voice("s01", 118, 0.128, 1.0),
    Voice("s02", 205, 0.118, 1.16),
    Voice("s03", 142, 0.138, 1.04),
    Voice("s04", 231, 0.124, 1.2),
]


@dataclass
class Record:
    """One recording with its transcript, and what is to become of it (None: one of its `group` stays, whichever it is)."""

    key: str
    audio: bytes
    suffix: str = "flac"
    fields: dict[str, str] = field(default_factory=dict)
    verdict: str | None = "kept"
    why: str | None = None
    group: str | None = None


def spoken(reading: str, voice: Voice, random: np.random.Generator, pause: float = 0.3) -> np.ndarray:
    """float64[n]: a reading in katakana (with 、 where there is a pause) as sung by a voice, with a quiet room around it."""
    steps = round(0.005 * RATE)
    gains, pitches, noises = [], [], []
    harmonics = np.arange(1, int(4000 / (voice.pitch * 0.8)) + 1)
    last = np.zeros(len(harmonics))
    count = max(1, sum(c not in "ァィゥェォャュョ" for c in reading))
    for nth, kana in enumerate(reading):
        length = pause if kana == "、" else 0.0 if kana in "ァィゥェォャュョ" else voice.mora * random.uniform(0.88, 1.12)
        frames = round(length / 0.005)
        pitch = voice.pitch * (1.12 - 0.3 * nth / count) * random.uniform(0.98, 1.02)
        vowel = VOWEL.get(kana)
        if kana in "、ッ":
            target = np.zeros(len(harmonics))
        elif kana == "ン":
            target = 0.5 * np.exp(-harmonics * pitch / 400)
        elif kana == "ー" or vowel is None:
            target = last
        else:
            formants = np.array(FORMANTS[vowel]) * voice.tract
            target = (np.exp(-((((harmonics * pitch)[:, None] - formants) / 130) ** 2)) * (1, 0.6, 0.3)).sum(1) + 0.02
        if kana in "ァィゥェォャュョ" and gains:
            gains[-1][len(gains[-1]) // 2 :] = target  # the vowel of a glide is the second half of its mora
            last = target
            continue
        shape = np.repeat(target[None], max(frames, 1), 0)
        hiss = np.zeros(len(shape))
        if vowel is not None and kana not in "アイウエオ":
            onset = min(len(shape), 9)
            shape[:onset] *= np.linspace(0.05, 1, onset)[:, None]
            hiss[: onset - 2] = 0.05 if kana in HISSING else 0.0
        gains.append(shape)
        noises.append(hiss)
        pitches.append(np.full(len(shape), pitch))
        last = target
    silence = [round(seconds / 0.005) for seconds in random.uniform(0.15, 0.3, 2)]
    quiet = [np.zeros((n, len(harmonics))) for n in silence]
    gain = np.concatenate([quiet[0], *gains, quiet[1]])
    hiss = np.concatenate([np.zeros(silence[0]), *noises, np.zeros(silence[1])])
    pitch = np.concatenate([np.full(silence[0], voice.pitch), *pitches, np.full(silence[1], voice.pitch)])
    window = np.hanning(9) / np.hanning(9).sum()
    gain = np.apply_along_axis(np.convolve, 0, gain, window, "same")
    at, frames_at = np.arange(len(gain) * steps) / steps, np.arange(len(gain))
    phase = 2 * np.pi * np.cumsum(np.interp(at, frames_at, np.convolve(pitch, window, "same") / window.sum())) / RATE
    out = np.zeros(len(at))
    for k in harmonics:
        out += np.interp(at, frames_at, gain[:, k - 1]) * np.sin(k * phase)
    out = 0.1 * out / max(1e-9, np.sqrt(np.mean(out**2)))
    return out + np.interp(at, frames_at, hiss) * random.standard_normal(len(at)) + 0.004 * random.standard_normal(len(at))


def encoded(samples: np.ndarray, kind: str = "FLAC", rate: int = RATE) -> bytes:
    out = io.BytesIO()
    # Eight bits of sixteen: FLAC leaves out what is zero in all samples.
    coarse = np.clip(np.rint(samples * 128) / 128, -1, 1 - 2**-7)
    soundfile.write(out, coarse, rate, format=kind, subtype="MPEG_LAYER_III" if kind == "MP3" else "PCM_16")
    return out.getvalue()


def reading_of(text: str) -> str:
    from filters.transcript.readings import readings

    return "、".join(readings(pl.Series(text.rstrip("。").split("、"))))


def records() -> Iterator[Record]:
    """All recordings, in the order in which they are told of here; keys are numbers, told apart by kind."""
    random = np.random.default_rng(SEED)
    takes = []
    for number, text in enumerate(SENTENCES):
        voice = VOICES[number % len(VOICES)]
        takes.append((text, voice, spoken(reading_of(text), voice, random)))
        yield Record(f"plain-{number:03d}", encoded(takes[-1][2]), fields={"text": text, "speaker": voice.name})

    def again(number: int, text: str | None, key: str, verdict: str | None, why: str | None = None, **more: str) -> Record:
        """A new take of a sentence by another voice, with a transcript that may be wrong."""
        voice = VOICES[(number + 1) % len(VOICES)]
        audio = encoded(spoken(reading_of(SENTENCES[number]), voice, random))
        return Record(
            key,
            audio,
            fields=({} if text is None else {"text": text}) | {"speaker": voice.name} | more,
            verdict=verdict,
            why=why,
        )

    # Kept: another voice; other spellings; what is not said; a second transcript that is read the same.
    yield again(0, SENTENCES[0], "other-voice", "kept")
    yield again(1, "えきまえの本屋で、あたらしい地図を2冊かいました。", "spelling", "kept")
    yield again(2, "（笑）≫弟：弟は庭の柿の木に登って、実をひとつ取りました。♪", "tags", "kept")
    yield again(3, SENTENCES[3], "second-same", "kept", pred_text="あしたの会議は3時からにかわりました")
    yield again(4, SENTENCES[4], "wav", "kept")
    # Dropped for the transcript.
    yield again(5, None, "no-text", "dropped", "chars")
    yield again(6, "", "empty", "dropped", "chars")
    yield again(7, "The library is closed on Mondays.", "english", "dropped", "japanese_word_share")
    yield again(8, SENTENCES[8][:6], "half", "dropped", "seconds_per_mora")
    yield again(9, SENTENCES[9] + SENTENCES[10], "extra", "dropped", "seconds_per_mora")
    yield again(12, "ありがとうございました。" * 12, "loop", "dropped", "looped_share")
    yield again(
        13, SENTENCES[13], "second-other", "dropped", "reading_error_rate", pred_text="窓の外には大きな木が立っています"
    )
    # Dropped for the recording.
    voice = VOICES[0]
    yield Record(
        "silence",
        encoded(0.004 * random.standard_normal(2 * RATE)),
        fields={"text": "はい、そうです。", "speaker": "s01"},
        verdict="dropped",
        why="speech_duration",
    )
    yield Record(
        "short", encoded(takes[0][2][4000:7000]), fields={"text": "け", "speaker": "s01"}, verdict="dropped", why="duration"
    )
    yield Record(
        "clipped",
        encoded(30 * spoken(reading_of(SENTENCES[14]), voice, random)),
        fields={"text": SENTENCES[14], "speaker": "s01"},
        verdict="dropped",
        why="clipping_share",
    )
    yield Record(
        "sentence-again",
        encoded(spoken(reading_of(SENTENCES[16]), VOICES[0], random)),
        fields={"text": SENTENCES[16], "speaker": "s01"},
        verdict=None,
        why="same_sentence",
        group="sentence",
    )
    # Duplicates: the same samples in another file; quieter, and through MP3.
    yield Record(
        "same-samples",
        encoded(takes[20][2], "WAV"),
        "wav",
        {"text": SENTENCES[20], "speaker": "s05"},
        None,
        "exact_duplicate",
        "samples",
    )
    yield Record(
        "same-sound",
        encoded(0.4 * takes[21][2], "MP3"),
        "mp3",
        {"text": SENTENCES[21], "speaker": "s05"},
        None,
        "near_duplicate",
        "sound",
    )
    # Unreadable.
    whole = encoded(takes[22][2])
    yield Record(
        "truncated",
        whole[: len(whole) // 2],
        fields={"text": SENTENCES[22], "speaker": "s03"},
        verdict="unreadable",
        why="truncated",
    )
    yield Record(
        "not-audio",
        "これは音声ではありません。\n".encode() * 20,
        fields={"text": "これは音声ではありません。", "speaker": "s03"},
        verdict="unreadable",
        why="not_audio",
    )
    yield Record(
        "no-samples",
        encoded(np.zeros(0)),
        fields={"text": "空です。", "speaker": "s03"},
        verdict="unreadable",
        why="no_samples",
    )


GROUPS = {"sentence": "plain-016", "samples": "plain-020", "sound": "plain-021"}


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def build(folder: Path) -> None:
    found = list(records())
    by_key = {record.key: record for record in found}
    for group, key in GROUPS.items():
        by_key[key].group, by_key[key].verdict = group, None
    by_key["wav"].audio, by_key["wav"].suffix = _as_wav(by_key["wav"].audio), "wav"
    with tarfile.open(folder / f"{NAME}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for record in found:
            add(tar, f"{record.key}.{record.suffix}", record.audio)
            add(tar, f"{record.key}.json", json.dumps(record.fields, ensure_ascii=False).encode())
    lines = []
    for record in sorted(found, key=lambda record: record.key):
        truth = {"key": record.key, "verdict": record.verdict, "why": record.why, "group": record.group}
        lines.append(json.dumps({k: v for k, v in truth.items() if v is not None or k == "verdict"}, ensure_ascii=False))
    (folder / f"{NAME}.truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _as_wav(flac: bytes) -> bytes:
    """24 kHz, two channels, of the same recording."""
    import soxr

    samples, rate = soundfile.read(io.BytesIO(flac))
    both = soxr.resample(samples, rate, 8_000)
    return encoded(np.stack([both, both], 1), "WAV", 8_000)


if __name__ == "__main__":
    build(SAMPLES)
