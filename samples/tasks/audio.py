"""Sounds, all made by formula and said to be so; the tunes are old songs, written from memory."""

from __future__ import annotations

import numpy as np

from samples.example import Example, Floats, Media, Question, Split, generator, rounded
from samples.media import AUDIO_RATE_HZ, read_wav, wav
from samples.tasks.tunes import TUNES

PITCH_CLASSES = (
    "C",
    "C sharp",
    "D",
    "D sharp",
    "E",
    "F",
    "F sharp",
    "G",
    "G sharp",
    "A",
    "A sharp",
    "B",
)
#: Semitones above the root.
CHORDS = {"major": (0, 4, 7), "minor": (0, 3, 7), "diminished": (0, 3, 6), "augmented": (0, 4, 8)}
#: Degrees of the major scale, in semitones above its first.
SCALE = {"do": 0, "re": 2, "mi": 4, "fa": 5, "sol": 7, "la": 9, "ti": 11}
MIDDLE_C_HZ = 261.6256

TONE_SAMPLES = 800  # 0.2 s
NOTE_SAMPLES = 400  # 0.1 s
NOTES = 5
BEAT_SAMPLES = 200  # 0.05 s
BEATS = 12
ROLL_NOTES = 4
CLEAN_NOTES = 6
MIDDLE_C_PITCH = 60  # as MIDI counts
WAVE_GIVEN = 128
WAVE_PREDICTED = 32
TUNE_GIVEN = 8
TUNE_PREDICTED = 4

#: What answers of "Waveform Continuation" are scaled to, from -1..1.
WAVE_SCALE = 100.0


def _ask(prompt: str, sound: Floats, answer: object) -> Example:
    question = Question({"question": prompt}, {"audio": wav(sound)})
    return Example(question, answer, {"audio": ".wav"})


def tone(semitones: float, samples: int, rng: np.random.Generator) -> Floats:
    """A tone above middle C with random overtones, their phases too; peak about 1."""
    time = np.arange(samples) / AUDIO_RATE_HZ
    frequency = MIDDLE_C_HZ * 2 ** (semitones / 12)
    sound = np.zeros(samples)
    for overtone in (1, 2, 3):
        strength = rng.uniform(0.2, 1.0) / overtone
        sound += strength * np.sin(2 * np.pi * (overtone * frequency * time + rng.uniform()))
    return np.asarray(sound / np.abs(sound).max())


def _noisy(sound: Floats, level: float, rng: np.random.Generator) -> Floats:
    return np.asarray(0.4 * (sound + rng.normal(0, level, len(sound))))


def pitch_class(split: Split) -> list[Example]:
    """One tone in noise, slightly out of tune; the label is its pitch class."""
    rng = generator("audio-c-001", split)
    prompt = f"Which pitch class is this tone: {', '.join(PITCH_CLASSES)}?"
    examples = []
    for _ in range(400 if split is Split.TRAIN else 96):
        pitch = int(rng.integers(12))
        semitones = pitch + 12 * int(rng.integers(-1, 2)) + rng.uniform(-0.25, 0.25)
        sound = _noisy(tone(semitones, TONE_SAMPLES, rng), 1.0, rng)
        examples.append(_ask(prompt, sound, PITCH_CLASSES[pitch]))
    return examples


def chord_recognition(split: Split) -> list[Example]:
    """Three tones together; the label is the kind of chord, major most often."""
    rng = generator("audio-c-002", split)
    prompt = f"Which kind of chord is this: {', '.join(CHORDS)}?"
    names = list(CHORDS)
    examples = []
    for _ in range(500 if split is Split.TRAIN else 80):
        name = names[rng.choice(len(names), p=(0.4, 0.3, 0.2, 0.1))]
        root = int(rng.integers(-6, 6))
        tones = [tone(root + step, TONE_SAMPLES, rng) for step in CHORDS[name]]
        sound = _noisy(np.sum(tones, axis=0) / 3, 0.4, rng)
        examples.append(_ask(prompt, sound, name))
    return examples


def melody_transcription(split: Split) -> list[Example]:
    """Five notes of C major in noise; the text is their names."""
    rng = generator("audio-c-003", split)
    prompt = "Write down the five notes of this melody in C major, as do re mi fa sol la ti."
    names = list(SCALE)
    examples = []
    for _ in range(300 if split is Split.TRAIN else 50):
        notes = [names[i] for i in rng.integers(len(names), size=NOTES)]
        tones = [tone(SCALE[note], NOTE_SAMPLES, rng) for note in notes]
        sound = _noisy(np.concatenate(tones), 1.0, rng)
        examples.append(_ask(prompt, sound, " ".join(notes)))
    return examples


def note_transcription(split: Split) -> list[Example]:
    """Four notes of one to three beats in noise, then silence; the piano roll has all of them."""
    rng = generator("audio-c-004", split)
    prompt = (
        f"Transcribe this melody in C major from middle C on (pitch {MIDDLE_C_PITCH}): onset and "
        f"duration of each note in beats of {BEAT_SAMPLES / AUDIO_RATE_HZ} s."
    )
    steps = list(SCALE.values())
    examples = []
    for _ in range(150 if split is Split.TRAIN else 40):
        sound = np.zeros(BEATS * BEAT_SAMPLES)
        notes = []
        onset, last = 0, -1
        for _ in range(ROLL_NOTES):
            duration = int(rng.integers(1, BEATS // ROLL_NOTES + 1))
            # No note twice in a row: where it ended could not be heard.
            degree = int(rng.choice([at for at in range(len(steps)) if at != last]))
            begin, end = onset * BEAT_SAMPLES, (onset + duration) * BEAT_SAMPLES
            sound[begin:end] = tone(steps[degree], end - begin, rng)
            pitch = MIDDLE_C_PITCH + steps[degree]
            notes.append({"onset": onset, "duration": duration, "pitch": pitch})
            onset, last = onset + duration, degree
        examples.append(_ask(prompt, _noisy(sound, 0.3, rng), notes))
    return examples


def waveform_continuation(split: Split) -> list[Example]:
    """Three damped vibrations; the series is the next 32 samples, from -100 to 100."""
    rng = generator("audio-g-001", split)
    prompt = f"Continue this sound by {WAVE_PREDICTED} samples, full scale being -100 to 100."
    time = np.arange(WAVE_GIVEN + WAVE_PREDICTED)
    examples = []
    for _ in range(500 if split is Split.TRAIN else 60):
        sound = np.zeros(len(time))
        for _ in range(3):
            period, decay = rng.uniform(6, 60), rng.uniform(80, 500)  # samples
            sound += np.exp(-time / decay) * np.sin(2 * np.pi * (time / period + rng.uniform()))
        sound = 0.9 * sound / np.abs(sound).max()
        heard = sound[:WAVE_GIVEN] + rng.normal(0, 0.01, WAVE_GIVEN)
        answer = rounded(WAVE_SCALE * sound[WAVE_GIVEN:], 2)
        examples.append(_ask(prompt, heard, answer))
    return examples


def melody_continuation(split: Split) -> list[Example]:
    """Eight notes of an old tune, written and sounding; the text is the next four."""
    rng = generator("audio-g-002", split)
    prompt = "Continue this melody by four notes, as do re mi fa sol la ti."
    names = list(SCALE)
    examples = []
    for tune in TUNES[split].values():
        notes = tune.split()
        for start in range(0, len(notes) - TUNE_GIVEN - TUNE_PREDICTED + 1, 2):
            given = notes[start : start + TUNE_GIVEN]
            answer = " ".join(notes[start + TUNE_GIVEN : start + TUNE_GIVEN + TUNE_PREDICTED])
            tones = [tone(SCALE[note], 200, rng) for note in given]
            question = Question(
                {"question": prompt, "notes": " ".join(given)},
                {"audio": wav(0.5 * np.concatenate(tones))},
            )
            examples.append(Example(question, answer, {"audio": ".wav"}))
    unknown = {note for tune in TUNES[split].values() for note in tune.split()} - set(names)
    if unknown:
        raise ValueError(f"notes that are none: {sorted(unknown)}")
    return examples


def melody_denoising(split: Split) -> list[Example]:
    """A melody of C major in noise; the answer is its sound without noise."""
    rng = generator("audio-g-004", split)
    prompt = "Remove the noise from this sound. Answer with a WAV file of the same length."
    steps = list(SCALE.values())
    examples = []
    for _ in range(60 if split is Split.TRAIN else 24):
        degrees = rng.integers(len(steps), size=CLEAN_NOTES)
        sound = 0.4 * np.concatenate([tone(steps[at], NOTE_SAMPLES, rng) for at in degrees])
        noisy = sound + rng.normal(0, 0.1, len(sound))
        examples.append(_ask(prompt, noisy, Media(wav(sound), ".wav")))
    return examples


def heard(question: Question) -> Floats:
    """The sound of a question, in [-1, 1]."""
    return read_wav(question.media["audio"])
