"""A small network on the embedded digits, without the command line: layers, optimiser, loop."""

import argparse

import numpy as np

import rot180 as rt
import rot180.nn.functional as F
from rot180 import data, nn, optim


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


def accuracy(model: nn.Module, pictures: data.ImageSet) -> float:
    model.eval()
    with rt.no_grad():
        logits = model(pictures.images.astype(np.float32) / 255)
    model.train()
    return float((logits.data.argmax(1) == pictures.labels).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one epoch only")
    epochs = 1 if parser.parse_args().quick else 12

    rt.manual_seed(0)
    train, test = data.digits("train"), data.digits("test")
    loader = data.DataLoader(train, batch_size=32, shuffle=True, generator=0)
    model = network()
    print(nn.summary(model, (1, 8, 8)))
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for epoch in range(1, epochs + 1):
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch:2}  loss {loss.item():.4f}  test accuracy {accuracy(model, test):.2%}")


if __name__ == "__main__":
    main()
