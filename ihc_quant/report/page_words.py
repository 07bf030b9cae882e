"""What every report says of its method and its limits, in plain words."""

from ihc_quant.report.page_blocks import Bullets, Chapter

METHOD: tuple[str, ...] = (
    "Tissue was found, cut into tiles and read at one fixed pixel size. A neural network marked the nuclei and gave "
    "each cell a probability of carrying the marker. Each cell is counted once.",
    "A cell is called positive by the rule that the settings below state. Its grade comes from the optical density of "
    "the chromogen in the part of the cell that they name; a positive cell below the cut of 2+ is 1+.",
    "Percent positive = positive cells / all nucleated cells found. Density = positive cells / area of tissue "
    "analysed. H-score = 100 × (1 × cells 1+ + 2 × cells 2+ + 3 × cells 3+) / all cells.",
    "The Wilson interval takes cells as independent. The block bootstrap draws whole areas of tissue again and again, "
    "because neighbouring cells are alike; where the two differ, trust the wider. Neither holds the network’s own "
    "error. “Sampling + measurement” does, as far as it was measured: it adds an error drawn anew for the patient "
    "from what the weights’ card states for images that people marked, and reaches as far as the worst of these image "
    "sets. No interval holds the variation of staining between laboratories, or which piece of tissue was taken.",
    "The densest window is the highest of many, so its count lies above the highest expected one by chance. Its "
    "interval allows for the choice: half the cells, drawn at random, choose a window and the other half is counted in "
    "it for the lower limit; the upper limit is the highest of any window. It takes staining as it lies on this "
    "section. That the network may count too many just in the window chosen is not in it.",
    "A call is uncertain where the probability lies in the band that the weights’ card names. The two percentages "
    "across the band are those with the threshold at its upper and at its lower end.",
    "The Rogan–Gladen value is what the percentage would be if cells were miscalled as often as on the image set "
    "named. It is a sensitivity figure, not a result, and knows nothing of cells that were not found, nor of what was "
    "found and is no cell. Its interval allows for how the patients of that set differ, where the weights’ card tells.",
    "A region that is “drawn” was drawn or confirmed by a person. One that is “proposed, not reviewed” was found by "
    "the software from the density of small round nuclei and serves no scheme.",
    "The heat maps show positive cells smoothed over 100 µm, divided by the tissue area smoothed alike.",
)

LIMITS: tuple[str, ...] = (
    "Single stains on serial sections are not one section. A cell of one section is often absent from the next. No "
    "figure here is the share of cells that carry two markers; that needs a double stain on one section.",
    "“CD4+ cells” are all cells that show CD4: histiocytes, Langerhans cells and some eosinophils are among them. "
    "CCR4 is also on regulatory and Th2 cells. One stain names no cell type.",
    "Reactive lymph nodes are rich in CD4+ cells anyway; a ratio of CD4 to CD8 is no marker of a disease.",
    "Optical density of DAB is a coordinate for thresholds. It is not an amount of antigen.",
    "The cuts of 1+, 2+ and 3+ and the thresholds of the call are not validated for this staining and scanner.",
    "Nuclei that are pale, crowded, crushed or out of focus may be missed. Missed nuclei make the denominator too "
    "small and every percentage and H-score uncertain in a way that the intervals of sampling do not show.",
    "How far the network puts grades off was not measured. In H-scores and shares of 1+, 2+ and 3+ the cuts moved by a "
    "quarter either way stand for it beside the error of the percentage; that says how far they move, not how often "
    "that is far enough.",
    "Areas have no interval: the outline of the tissue was not measured against people’s, and every density takes it "
    "as it is. Nor have numbers that only describe the cells found: how many there are, the median diameter of their "
    "nuclei, calls across the uncertain band, and figures under other thresholds.",
    "The network’s error of a density was measured on images that hold some positive cells; where there are hardly "
    "any, single false ones weigh more. For a ratio the errors of both sections are taken as independent, which makes "
    "its interval wider rather than narrower, because both come from one network.",
    "Brown that is not the marker may be called positive: melanin, hemosiderin, pen, folds, dried edges, and "
    "eosinophils whose peroxidase was not blocked.",
    "The report makes no statement on diagnosis or treatment.",
)


def method_chapter() -> Chapter:
    """Return how the figures were made."""
    return Chapter("method", "How the figures were made", (Bullets(METHOD),))


def limits_chapter() -> Chapter:
    """Return what the figures do not say."""
    return Chapter("limits", "What the figures do not say", (Bullets(LIMITS),))
