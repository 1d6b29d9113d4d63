"""The shot lists of training sets: what a character, a style, a concept should show, and the words that tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from imageyard.ray_jobs.analysis.shot_plan import AxisPlan, Profile, Value
from imageyard.ray_jobs.exclusive_tags import EYES, HAIR


def _said(words: str) -> tuple[str, ...]:
    return tuple(words.split(", "))


VIEW = AxisPlan(
    "view",
    (
        Value(
            "front",
            _said("from front, looking at viewer, front view, facing viewer, facing the camera"),
            (3, 5),
            phrase="from the front",
        ),
        Value("side", _said("from side, profile, side view, in profile"), (4, 6), phrase="from the side"),
        Value(
            "three-quarter",
            _said("three quarter view, three-quarter view, 3/4 view"),
            (1, 2),
            phrase="in three-quarter view",
            taggers=False,
        ),
        Value(
            "behind",
            _said("from behind, from back, back view, seen from behind, facing away"),
            (1, 2),
            phrase="from behind",
        ),
        Value("above", _said("from above, high angle, bird's-eye view, seen from above")),
        Value("below", _said("from below, low angle, worm's-eye view, seen from below")),
    ),
)
FRAMING = AxisPlan(
    "framing",
    (
        Value(
            "close-up",
            _said("close-up, close up, closeup, extreme close-up, face focus, headshot"),
            (3, 5),
            phrase="as a close-up",
        ),
        Value("portrait", _said("portrait, head and shoulders")),
        Value("upper body", _said("upper body, bust shot, half body, half-body, waist up")),
        Value("cowboy shot", _said("cowboy shot, thigh up, thighs up, three-quarter length")),
        Value("full body", _said("full body, full-body, full length, full-length, head to toe")),
        Value("lower body"),
        Value("wide shot", _said("wide shot, very wide shot, long shot, distant shot")),
    ),
    distinct=3,
    most=0.7,
)
EXPRESSION = AxisPlan(
    "expression",
    (
        Value("smile", _said("smile, smiling, light smile, happy, grin, grinning, laughing, smirk, :d")),
        Value("open mouth", _said("open mouth, mouth open, parted lips, :o")),
        Value(
            "closed eyes", _said("closed eyes, eyes closed, sleeping, one eye closed, half-closed eyes, wink, winking")
        ),
        Value("neutral", _said("serious, expressionless, neutral expression, closed mouth, frown, frowning, stern")),
        Value("angry", _said("angry, anger, annoyed, glaring, v-shaped eyebrows, clenched teeth, pout, scowling")),
        Value("sad", _said("sad, crying, tears, teary-eyed, crying with eyes open, sobbing, depressed, sadness")),
        Value("surprised", _said("surprised, wide-eyed, shocked, scared, startled, fear")),
        Value("embarrassed", _said("embarrassed, blush, blushing, shy, nervous, full-face blush")),
    ),
    distinct=3,
)
POSE = AxisPlan(
    "pose",
    (
        Value("standing", _said("standing, standing on one leg, stands, contrapposto")),
        Value("sitting", _said("sitting, sits, seated, seiza, wariza, crossed legs, on chair, sitting on lap")),
        Value("lying", _said("lying, on back, on side, on stomach, reclining, lying down, lies")),
        Value("kneeling", _said("kneeling, squatting, crouching, all fours, on one knee, kneels")),
        Value(
            "action",
            _said(
                "walking, running, jumping, dancing, fighting, fighting stance, kicking, punching, throwing, "
                "swinging, flying, midair, climbing, swimming, battle, action, dynamic pose, attack, slashing, "
                "riding, driving, cooking, playing instrument, playing guitar"
            ),
            (5, 10),
            phrase="in action",
        ),
        Value(
            "arms up", _said("arms up, arm up, arms raised, outstretched arms, outstretched arm, reaching, stretching")
        ),
        Value(
            "hands on hips",
            _said("hands on hips, hand on own hip, hand on hip, hands on own hips, crossed arms, arms crossed"),
        ),
    ),
    distinct=3,
)
LIGHT = AxisPlan(
    "lighting",
    (
        Value("day", _said("day, daylight, sunlight, blue sky, sunny, morning")),
        Value("sunset", _said("sunset, sunrise, dusk, dawn, twilight, golden hour, evening, orange sky")),
        Value("night", _said("night, night sky, starry sky, moonlight, at night, full moon")),
        Value("indoor light", _said("lamp, candlelight, neon lights, studio lighting, ceiling light, lamplight")),
        Value("backlit", _said("backlit, backlighting, rim lighting, silhouette, light rays, lens flare")),
        Value("dark", _said("dim lighting, low light, dark room, darkness, dark background, shadow")),
        Value("overcast", _said("overcast, cloudy sky, rain, snowing, fog, grey sky, gray sky, overcast sky, cloudy")),
    ),
    distinct=2,
)
_PLACES = (
    Value("room", _said("bedroom, kitchen, classroom, bathroom, office, living room, library, couch, bed")),
    Value("street", _said("street, city, road, alley, crosswalk, cityscape, town, building, urban, skyscraper")),
    Value("nature", _said("nature, forest, tree, trees, grass, field, garden, park, mountain, flower field, bush")),
    Value("water", _said("water, beach, ocean, sea, lake, river, pool, shore, poolside, waterfall")),
    Value("sky", _said("sky, cloud, clouds, blue sky, starry sky, night sky")),
    Value("shop", _said("cafe, restaurant, store, bar, market, train interior, car interior, vehicle interior")),
    Value("stage", _said("stadium, concert, arena, gym, church, castle, ruins, temple, shrine, dungeon")),
)
_PLACE_WORDS = tuple(word for value in _PLACES for word in value.said_by)
BACKGROUND = AxisPlan(
    "background",
    (
        Value(
            "plain",
            _said(
                "simple background, white background, grey background, gray background, black background, blue "
                "background, pink background, gradient background, transparent background, two-tone background, "
                "plain background, blank background, red background, green background"
            ),
            most=0.6,
        ),
        Value(
            "a place",
            ("indoors", "outdoors", "scenery", "inside", "outside", *_PLACE_WORDS),
            (5, 10),
            phrase="in a real place",
            most=1.0,
        ),
        Value("indoors", _said("indoors, inside")),
        Value("outdoors", _said("outdoors, outside")),
        *_PLACES,
    ),
    distinct=4,
)
OUTFIT = AxisPlan(
    "outfit",
    (
        Value("dress", _said("dress, sundress, gown, white dress, black dress, red dress, blue dress, long dress")),
        Value("shirt", _said("shirt, t-shirt, white shirt, collared shirt, black shirt, blouse, tank top, crop top")),
        Value("jacket", _said("jacket, coat, open jacket, black jacket, hooded jacket, trench coat, blazer, cardigan")),
        Value(
            "sweater", _said("sweater, hoodie, turtleneck, turtleneck sweater, ribbed sweater, sweatshirt, pullover")
        ),
        Value("skirt", _said("skirt, pleated skirt, miniskirt, black skirt, long skirt, plaid skirt")),
        Value("trousers", _said("pants, jeans, shorts, leggings, denim, black pants, denim shorts")),
        Value("uniform", _said("uniform, school uniform, serafuku, military uniform, maid, police uniform, gakuran")),
        Value("suit", _said("suit, formal, formal clothes, business suit, tuxedo, vest, necktie")),
        Value("swimwear", _said("swimsuit, bikini, one-piece swimsuit, school swimsuit, swim trunks")),
        Value("traditional", _said("kimono, yukata, hakama, china dress, hanfu, hanbok, japanese clothes")),
        Value("armor", _said("armor, armour, breastplate, gauntlets, shoulder armor, pauldrons, bodysuit")),
        Value("nightwear", _said("pajamas, nightgown, bathrobe, robe")),
    ),
    distinct=2,
)
PEOPLE = AxisPlan(
    "people",
    (
        Value("one", _said("solo, alone")),
        Value(
            "several",
            _said(
                "2girls, 3girls, 4girls, 5girls, 6+girls, multiple girls, 2boys, 3boys, 4boys, 5boys, 6+boys, "
                "multiple boys, crowd, group, couple, everyone"
            ),
        ),
        Value("nobody", ("no humans",)),
    ),
    most=None,
)
MEDIUM = AxisPlan(
    "medium",
    (
        Value("photo", _said("photo, photograph, photorealistic, realistic, photo (medium), photography")),
        Value(
            "oil painting",
            _said("oil painting, painting, painting (medium), oil painting (medium), acrylic paint (medium), impasto"),
        ),
        Value("watercolor", _said("watercolor, watercolour, watercolor (medium), watercolor painting, gouache")),
        Value(
            "drawing",
            _said(
                "drawing, sketch, graphite (medium), pencil drawing, colored pencil (medium), ink (medium), charcoal"
            ),
        ),
        Value("line art", _said("line art, lineart, line drawing, ink drawing")),
        Value("monochrome", _said("monochrome, greyscale, grayscale, black and white")),
        Value("flat colour", _said("flat color, cel shading, anime coloring, vector art, anime style")),
        Value("3d", _said("3d, 3d render, blender (medium), cgi, render")),
        Value("pixel art", _said("pixel art, pixelated, 8-bit")),
        Value("comic", _said("comic, manga, 4koma, comic strip")),
    ),
    most=None,
    constant=True,
)
SUBJECT = AxisPlan(
    "subject",
    (
        Value("woman", _said("woman, 1girl, 2girls, multiple girls, girl, women, lady")),
        Value("man", _said("man, 1boy, 2boys, multiple boys, boy, men, old man")),
        Value("animal", _said("animal, cat, dog, bird, horse, fish, animal focus, animals, wolf, fox, rabbit")),
        Value(
            "landscape",
            _said("landscape, scenery, mountain, forest, ocean, field, lake, nature, river, mountainous horizon"),
        ),
        Value("city", _said("city, cityscape, building, street, house, architecture, skyscraper, town, castle")),
        Value(
            "object", _said("still life, food, flower, vehicle, car, food focus, vehicle focus, weapon focus, fruit")
        ),
    ),
    distinct=3,
)


def _colours(name: str, colours: Sequence[str], noun: str) -> AxisPlan:
    values = tuple(Value(f"{colour} {noun}") for colour in colours)
    return AxisPlan(name, values, most=None, constant=True, solo=True)


_DEFECTS = (
    Value("watermark", _said("watermark, web address, logo, sample watermark, patreon username, twitter username")),
    Value("signature", _said("signature, artist name, artist logo, dated")),
    Value(
        "text", _said("text, english text, japanese text, text focus, speech bubble, cover, subtitled, chinese text")
    ),
    Value("several views", _said("multiple views, reference sheet, character sheet, collage, split screen")),
    Value("poor quality", _said("lowres, blurry, jpeg artifacts, pixelated")),
)
_DRAWN = (
    Value("monochrome", _said("monochrome, greyscale, grayscale, black and white")),
    Value("sketch", _said("sketch, unfinished, rough sketch")),
    Value("comic", _said("comic, 4koma, manga, comic strip")),
)

CHARACTER = Profile(
    name="character",
    least=15,
    most=50,
    axes=(
        VIEW,
        FRAMING,
        EXPRESSION,
        POSE,
        LIGHT,
        BACKGROUND,
        OUTFIT,
        PEOPLE,
        _colours("hair", HAIR, "hair"),
        _colours("eyes", EYES, "eyes"),
    ),
    core=_said("view, framing, expression, pose, people"),
    crosses=(("view", "framing"), ("expression", "framing")),
    solo=0.8,
    remove=(*_DRAWN, *_DEFECTS),
)
STYLE = Profile(
    name="style",
    least=50,
    most=200,
    axes=(SUBJECT, MEDIUM, replace(FRAMING, distinct=2), LIGHT, replace(BACKGROUND, distinct=3), PEOPLE),
    core=_said("subject, framing, background, people, lighting"),
    crosses=(("subject", "lighting"),),
    remove=_DEFECTS,
)
CONCEPT = Profile(
    name="concept",
    least=20,
    most=100,
    axes=(
        replace(VIEW, values=tuple(replace(value, wanted=None) for value in VIEW.values), distinct=3),
        replace(FRAMING, values=tuple(replace(value, wanted=None) for value in FRAMING.values)),
        LIGHT,
        BACKGROUND,
        PEOPLE,
    ),
    core=_said("view, framing, background, people, lighting"),
    crosses=(("view", "background"),),
    remove=(*_DRAWN, *_DEFECTS),
)
"""Sizes and shot counts of guides for LoRA training, and its shares: 70 % for a framing, 60 % for a plain background,
80 % of pictures with one person. Where the sources name no number of different values, the profiles do."""

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (CHARACTER, STYLE, CONCEPT)}
