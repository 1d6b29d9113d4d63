"""What analysis may say of a version, for tests of the report: every field has something to show."""

from imageyard.ray_jobs.analysis.affected import Affected
from imageyard.ray_jobs.analysis.axes import Axis, Cross, Excess, Seen
from imageyard.ray_jobs.analysis.caption_numbers import CaptionNumbers, Limit, TriggerCoverage
from imageyard.ray_jobs.analysis.coverage import Coverage
from imageyard.ray_jobs.analysis.findings import Consistency, Finding, Part
from imageyard.ray_jobs.analysis.looks import Looks, Outlier
from imageyard.ray_jobs.analysis.near_tags import NearTags
from imageyard.ray_jobs.analysis.next_shots import Shot, Size
from imageyard.ray_jobs.analysis.spread import Bin, Spread
from imageyard.ray_jobs.analysis.tag_numbers import Completeness, Conflict, TagCount, TagNumbers, TagsPerImage
from imageyard.ray_jobs.analysis.tag_pairs import TagMatrix, TagPair

TWO = Affected(2, ("shot-01.jpg", "shot-02.jpg"))
MANY = Affected(14, tuple(f"shot-{number:02d}.jpg" for number in range(14)))
NAMES = (
    *("1girl", "solo", "mychar", "long hair", "very long hair", "looking at viewer", "smile", "red hair", "upper body"),
    *("simple background", "white background", "outdoors", "from behind", "school uniform", "holding cup", "night"),
    *("shimakaze (kancolle) (cosplay)", "depth of field", "blue sky", "indoors"),
)
MATRIX = TagMatrix(
    NAMES, tuple(tuple(abs(60 - 3 * max(i, j) - (i * j) % 7 * (i != j)) for j in range(20)) for i in range(20))
)
TAG_NUMBERS = TagNumbers(
    source="tags",
    images=62,
    tagged=60,
    total=1204,
    vocabulary=214,
    entropy=6.25,
    per_image=TagsPerImage(0, 19.0, 18.4, 31),
    tags=(TagCount("1girl", 60, 0.97, 60, 0.98),),
    rare=(TagCount("lamp", 1, 0.02, 1, 0.4), TagCount("tree", 1, 0.02, 1, None)),
    rare_below=3,
    always=(TagCount("1girl", 60, 0.97, 60, 0.98),),
    pairs_by_count=(TagPair("solo", "smile", 22, 1.2),),
    pairs_by_lift=(TagPair("night", "blue sky", 4, 12.5), TagPair("holding cup", "indoors", 9, 3.25)),
    matrix=MATRIX,
    near=(
        NearTags("plural", (("flower", 12), ("flowers", 3))),
        NearTags("spelling", (("red hair", 30), ("red_hair", 2))),
    ),
    conflicts=(Conflict("hair length", ("long hair", "short hair"), TWO),),
    complete=Completeness(TWO, MANY, (("mychar", TWO),)),
)
SPREAD = Spread(12, 48.0, 61.5, 160, 231)
CAPTION_NUMBERS = CaptionNumbers(
    images=62,
    captioned=61,
    sources=(("text", 61),),
    tag_lists=40,
    prose=21,
    further=(("caption-florence", 30),),
    unit="clip",
    tokens=SPREAD,
    words=SPREAD,
    characters=SPREAD,
    pieces=SPREAD,
    histogram=tuple(Bin(10 * at, 10 * at + 9, max(0, 9 - abs(at - 5)) + (at in (16, 23))) for at in range(24)),
    chunks=((1, 40), (2, 15), (3, 5), (4, 1)),
    limits=(Limit("sdxl", 75, "CLIP", True, MANY), Limit("sd3", 256, "T5", False, Affected())),
    findings=(
        Finding("CAP-SHORT", "error", "14 captions have fewer than 5 words.", MANY, 0.226, (("a cat", 2), ("dog", 1))),
        Finding("CAP-CASE", "warning", "Captions mix upper and lower case.", TWO, 0.03),
        Finding("CAP-LANG", "info", "2 captions are not in English.", TWO, 0.03, (("bonjour le monde", 2),)),
    ),
    consistency=Consistency(0.71, (Part("CAP-CASE", 2, 0.97), Part("CAP-END", 0, 1.0))),
    triggers=(
        TriggerCoverage("mychar", Affected(50, MANY.names), Affected(44), Affected(6), TWO, Affected(9), Affected(3)),
        TriggerCoverage("red dress", Affected(62), Affected(62), Affected(), Affected(), Affected(), Affected()),
    ),
)
COVERAGE = Coverage(
    profile="character",
    images=62,
    source="scores",
    model="wd-vit-tagger-v3",
    matched=60,
    usable=True,
    reason="Of 60 of 62 images at least one axis is known.",
    size=Size(62, 41, 20, 50, "warning", "62 images, 41 different looks; 20 to 50 are wanted."),
    axes=(
        Axis(
            "view",
            True,
            58,
            (
                Seen("front", 40, 0.65, ("a.jpg",), (8, 20)),
                Seen("from side", 9, 0.15, ("b.jpg",), (4, 10)),
                Seen("from behind", 1, 0.02, ("c.jpg",), (3, 6), 2),
                Seen("from above", 0, 0.0, (), (1, 3), 1),
            ),
            3,
            4,
            (Excess("front", 40, 0.65, 0.5),),
            ("One view makes up 65 % of the images.",),
            Affected(),
        ),
        Axis(
            "expression",
            True,
            49,
            (Seen("smile", 22, 0.35, ("a.jpg",)), Seen("serious", 14, 0.2, ()), Seen("angry", 0, 0.0, (), (1, 1), 1)),
            2,
            None,
            (),
            (),
            Affected(),
        ),
        Axis(
            "lighting", True, 12, (Seen("night", 12, 0.19, ()),), 1, 3, (), ("Only one kind of light is known.",), TWO
        ),
        Axis("pose", False, 0, (), 0, 4, (), (), Affected()),
    ),
    crosses=(
        Cross(
            "view",
            "framing",
            ("front", "from side", "from behind"),
            ("portrait", "upper body", "full body"),
            ((20, 12, 8), (4, 5, 0), (0, 1, 0)),
            (("from side", "full body"),),
        ),
    ),
    remove=(("watermark", TWO),),
    looks=Looks(
        "embedding", 62, 0.9, 41, (12, 4, 2, 1, 1), 12 / 62, Affected(12, ("a.jpg",)), 0.4, (Outlier("odd.jpg", 0.61),)
    ),
    next_shots=(
        Shot("from behind: 1 picture (3 to 6 wanted)", "view", "from behind", 1, 2),
        Shot("from above: no picture (1 to 3 wanted)", "view", "from above", 0, 1),
        Shot("any other light than night (12 of 12 pictures)", "lighting", None, 1, 2),
    ),
)
