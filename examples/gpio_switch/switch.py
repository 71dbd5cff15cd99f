"""Switches a lamp and a fan on a Raspberry Pi by what is typed, or comes from a speech recogniser through a pipe.

    python switch.py minilm.edge phrases.csv

The commands are learnt from phrases.csv when it starts. A LED blinks where it is not sure; a button switches all off.
Without a Pi: GPIOZERO_PIN_FACTORY=mock python switch.py minilm.edge phrases.csv
"""

import argparse
import csv
import sys
import tempfile
from pathlib import Path

from gpiozero import LED, BadPinFactory, Button, OutputDevice

import edgekit

LAMP, FAN, UNSURE, ALL_OFF = 17, 27, 22, 23
"""GPIO numbers, as on the drawings of the header; not those of the pins."""
ACCURACY = 0.85
"""How often a command should be right. Higher: it is more often not sure."""


def learn(encoder: str, phrases: Path, output: Path) -> Path:
    """Fit a classifier of commands and return its bundle."""
    with phrases.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
    return edgekit.fit(encoder, texts, labels, output, accuracy=ACCURACY)


def listen(model: edgekit.Model) -> None:
    """Do what each line of standard input says, until it ends."""
    with LED(LAMP) as lamp, OutputDevice(FAN) as fan, LED(UNSURE) as unsure, Button(ALL_OFF) as button:
        actions = {"light_on": lamp.on, "light_off": lamp.off, "fan_on": fan.on, "fan_off": fan.off}

        def all_off() -> None:
            lamp.off()
            fan.off()
            print("button: all off", flush=True)

        button.when_pressed = all_off
        print("Say what to switch; Ctrl-D ends.", flush=True)
        for line in sys.stdin:
            if not line.strip():
                continue
            found = model.classify([line.strip()])[0]
            print(f"{found.label or 'not sure'} ({found.probability:.0%})", flush=True)
            if found.label is None:
                unsure.blink(0.2, 0.2, n=2)
            else:
                actions.get(found.label, lambda: None)()


def main() -> None:
    parser = argparse.ArgumentParser(description="Switch a lamp and a fan.")
    parser.add_argument("encoder", help="a bundle that embeds texts")
    parser.add_argument("phrases", type=Path, help="a CSV with the columns text and label")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = learn(options.encoder, options.phrases, Path(folder, "switch.edge"))
        with edgekit.load(path) as model:
            listen(model)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
    except BadPinFactory:
        sys.exit("error: there are no GPIO pins; without a Pi, set GPIOZERO_PIN_FACTORY=mock")
    except (edgekit.EdgekitError, OSError) as error:
        sys.exit(f"error: {error}")
