"""The vocabulary of the miniature's tasks."""

LIST_WORDS = (
    "apple boat cup door egg fox gate hill ink jar king lake milk nest oven pond quilt ring salt tree urn"
    " vase wool yard zinc bird coat drum flag lamp moon rope"
).split()
ORDINALS = ("first", "second", "third", "fourth", "fifth")
OPPOSITES = (
    ("hot", "cold"),
    ("big", "small"),
    ("dark", "light"),
    ("fast", "slow"),
    ("old", "young"),
    ("wet", "dry"),
    ("high", "low"),
    ("open", "shut"),
    ("hard", "soft"),
    ("rich", "poor"),
    ("full", "empty"),
    ("long", "short"),
    ("early", "late"),
    ("near", "far"),
)
CATEGORIES = {
    "animal": ("fox", "bird", "fish", "horse", "goat", "mouse", "bear", "frog"),
    "colour": ("red", "blue", "green", "black", "white", "brown", "pink", "grey"),
    "food": ("bread", "apple", "honey", "egg", "soup", "rice", "cake", "plum"),
    "tool": ("rope", "drum", "hammer", "saw", "spade", "knife", "brush", "nail"),
}
PEOPLE = ("baker", "farmer", "sailor", "nurse", "miller", "poet", "guard", "painter", "teacher", "driver")
PLACES = ("market", "harbour", "school", "forest", "station", "garden", "bridge", "tower", "beach", "mill")
REASONS = {
    "umbrella": ("keeps the rain off", "rain"),
    "lamp": ("gives light at night", "light"),
    "coat": ("keeps the cold out", "cold"),
    "map": ("shows the way", "way"),
    "rope": ("ties the load", "load"),
    "bottle": ("holds water", "water"),
    "clock": ("tells the time", "time"),
    "bell": ("calls the people", "people"),
    "knife": ("cuts the bread", "bread"),
    "spade": ("digs the ground", "ground"),
    "brush": ("spreads the paint", "paint"),
    "purse": ("holds the money", "money"),
}
