"""Write the gallery: `python -m rot180.explain.figures docs/pictures/gallery`."""

import sys
from pathlib import Path

from rot180.errors import Rot180Error
from rot180.explain.figures.gallery import write_gallery

if __name__ == "__main__":
    try:
        write_gallery(Path(*sys.argv[1:2]), *sys.argv[2:])
    except Rot180Error as error:
        sys.exit(str(error))
