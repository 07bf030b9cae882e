"""What results state of a slide's file, its white point and its stains."""

from ihc_quant.batch.measurement import SlideFacts, WhiteAndStains
from ihc_quant.domain.slide import SlideInfo
from ihc_quant.domain.stain import StainMatrix
from ihc_quant.stain.estimate import StainEstimate, WhitePoint


def facts_of(info: SlideInfo) -> SlideFacts:
    """Return what results state of a slide."""
    mpp = info.require_mpp()
    bounds = info.bounds_l0
    return SlideFacts(
        reader=info.reader,
        vendor=info.vendor,
        width_px=info.size.width,
        height_px=info.size.height,
        level_downsamples=tuple(round(level.downsample_x, 6) for level in info.levels),
        mpp_x=mpp.x,
        mpp_y=mpp.y,
        mpp_source=info.mpp_source,
        bounds_l0=(bounds.x0, bounds.y0, bounds.x1, bounds.y1),
        objective=info.objective,
        scanner=info.scanner,
        quick_hash=info.quick_hash,
        series=info.series,
    )


def white_and_stains(used: StainMatrix, white: WhitePoint, estimate: StainEstimate) -> WhiteAndStains:
    """Return what results state of the white point and the stain vectors that were used."""
    return WhiteAndStains(
        white=used.white,
        white_source=white.source,
        white_note=white.reason,
        vectors={
            vector.name: (vector.red, vector.green, vector.blue) for vector in (used.hematoxylin, *used.chromogens)
        },
        vectors_source=used.source,
        deviation_degrees=estimate.stain_deviation_degrees,
        deviation_note=estimate.reason,
        unfit_share=estimate.unfit_share,
    )


def white_alone(white: WhitePoint) -> WhiteAndStains:
    """Return what results state of a section that is shown and not scored: nothing was unmixed."""
    return WhiteAndStains(
        white=white.rgb,
        white_source=white.source,
        white_note=white.reason,
        vectors={},
        vectors_source="none",
        deviation_degrees=None,
        deviation_note="the section is shown and not scored",
    )
