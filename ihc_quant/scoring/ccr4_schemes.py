"""Published CCR4 schemes, as data: what was read in each source and nothing more.

None of them predicts response, none was set up for the lymphocytic variant of the hypereosinophilic syndrome, and none
is preferred.
"""

from ihc_quant.domain.ccr4 import Ccr4Scheme, FractionCut

NUCLEATED_CELLS = "all nucleated cells of the region"
"""The denominator that is counted here. In a region that a person drew it stands for the denominator of a source."""

CCR4_SCHEMES: tuple[Ccr4Scheme, ...] = (
    Ccr4Scheme(
        id="kobe-poteligeo-test",
        citation="Kobe University immunohistochemistry database, POTELIGEO TEST IHC "
        "(immuno2.med.kobe-u.ac.jp/2012/11/14/ccr4)",
        antibody="mouse anti-human CCR4 of the POTELIGEO TEST IHC kit (Kyowa Medex)",
        denominator="tumour cells",
        cut=FractionCut(0.10, inclusive=True),
        categories=("negative", "positive"),
        region="tumour",
        scope=(
            "Staining of membrane or cytoplasm counts; set up for adult T-cell leukaemia/lymphoma.",
            "Nucleated cells of the drawn tumour stand for tumour cells; others among them lower the percentage.",
        ),
    ),
    Ccr4Scheme(
        id="blood-2004-four-tiers",
        citation="Blood 2004;104:2646 (abstract)",
        antibody="KM2160",
        denominator="not stated in the abstract",
        cut=None,
        categories=("negative", "focal", "partial", "uniform"),
        unnumbered="the source gives no numeric bounds for negative, focal, partial and uniform",
        scope=("T-cell tumours, mycosis fungoides and Sézary syndrome among them.",),
    ),
    Ccr4Scheme(
        id="blood-2012-skin-5",
        citation="Blood 2012;120:3697 (abstract)",
        antibody="the parent antibody of mogamulizumab",
        denominator="not stated in what was read; the infiltrate is taken, which is our judgement",
        cut=FractionCut(0.05, inclusive=False),
        categories=("not above background", "above background"),
        region="infiltrate",
        sites=("skin",),
    ),
    Ccr4Scheme(
        id="geller-2020-infiltrate-25",
        citation="Geller 2020, Histopathology 76:222",
        antibody="a monoclonal antibody to CCR4, its clone not stated in what was read",
        denominator="the infiltrate",
        cut=FractionCut(0.25, inclusive=False),
        categories=("low", "high"),
        region="infiltrate",
        sites=("skin",),
        scope=("Set up for CD8+ cutaneous T-cell lymphomas and lymphoproliferative disorders.",),
    ),
    Ccr4Scheme(
        id="nakatani-2001-among-cd4",
        citation="Nakatani 2001, J Allergy Clin Immunol 107:353",
        antibody="not stated in what was read",
        denominator="CD4+ cells",
        cut=None,
        categories=(),
        unnumbered="needs CCR4+ cells among CD4+ cells, a double stain on one section; serial sections give a ratio of "
        "densities; the source gives no cut",
    ),
    Ccr4Scheme(
        id="fujii-2021-terminus",
        citation="Fujii 2021, J Pathol Clin Res, 10.1002/cjp2.180",
        antibody="one to the N-terminus against one to the C-terminus",
        denominator="not a percentage",
        cut=None,
        categories=(),
        unnumbered="needs an antibody to either terminus and gives no cut that is used here; the epitope is metadata",
        scope=("C-terminal staining goes with CCR4 mutation, N-terminal staining does not.",),
    ),
)
"""In the order of the report's table."""
