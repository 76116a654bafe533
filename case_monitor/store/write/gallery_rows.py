"""From the pictures of an evaluation to rows of their tables."""

from case_monitor.domain.gallery import Gallery
from case_monitor.store.tables import ChildRow, GalleryImageRow, GalleryMapRow
from case_monitor.store.write.rows import Row


def gallery_rows(gallery: Gallery) -> dict[type[ChildRow], list[Row]]:
    """The gallery's pictures, compressed: work for before a transaction. Parents before children."""
    return {GalleryImageRow: _images(gallery), GalleryMapRow: _maps(gallery)}


def _images(gallery: Gallery) -> list[Row]:
    from case_monitor.store.write.pictures import image_png  # Pillow, which those who look at alerts do without

    return [
        {
            "position": position,
            "sample_id": sample_id,
            "target": gallery.target[position],
            "top2": gallery.top2[position],
            "image": image_png(gallery.images[position]),
        }
        for position, sample_id in enumerate(gallery.sample_ids)
    ]


def _maps(gallery: Gallery) -> list[Row]:
    from case_monitor.store.write.pictures import map_png  # as above

    return [
        {"position": position, "method": method, "rank": rank, "image": map_png(maps[position, rank - 1])}
        for method, maps in gallery.maps.items()
        for position in range(len(gallery.sample_ids))
        for rank in (1, 2)
    ]
