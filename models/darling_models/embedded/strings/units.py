"""Units of measure by dimension, so that `1.5 km` and `1500 m` are one quantity."""

DIMENSIONS: dict[str, dict[str, float]] = {
    "length": {
        "km kilometre kilometres kilometer kilometers": 1e3,
        "m metre metres meter meters": 1.0,
        "cm centimetre centimetres centimeter centimeters": 1e-2,
        "mm millimetre millimetres millimeter millimeters": 1e-3,
        "mi mile miles": 1609.344,
        "ft foot feet": 0.3048,
        "inch inches": 0.0254,
        "yd yard yards": 0.9144,
    },
    "area": {
        "km2 km^2 km²|square kilometres|square kilometers|square km|sq km": 1e6,
        "m2 m^2 m²|square metres|square meters|square m|sq m": 1.0,
        "cm2 cm^2 cm²|square centimetres|square centimeters": 1e-4,
        "ft2 ft^2 ft²|square feet|sq ft": 0.09290304,
        "hectare hectares ha": 1e4,
        "acre acres": 4046.8564224,
    },
    "mass": {
        "kg kilo kilos kilogram kilograms": 1e3,
        "g gram grams gm": 1.0,
        "mg milligram milligrams": 1e-3,
        "tonne tonnes": 1e6,
        "lb lbs pound pounds": 453.59237,
        "oz ounce ounces": 28.349523125,
    },
    "time": {
        "ms millisecond milliseconds": 1e-3,
        "s sec secs second seconds": 1.0,
        "min mins minute minutes": 60.0,
        "h hr hrs hour hours": 3600.0,
        "day days": 86400.0,
        "week weeks": 604800.0,
    },
    "years": {
        "month months": 1.0,
        "year years yr yrs": 12.0,
        "decade decades": 120.0,
        "century centuries": 1200.0,
    },
    "volume": {
        "l litre litres liter liters": 1.0,
        "ml millilitre millilitres milliliter milliliters cm3 cm^3 cm³|cubic centimetres": 1e-3,
        "cl": 1e-2,
        "m3 m^3 m³|cubic metres|cubic meters": 1e3,
        "gallon gallons": 3.785411784,
    },
    "share": {"% percent percentage pct": 1e-2},
    "dollar": {"$ dollar dollars usd": 1.0, "cent cents": 1e-2},
    "euro": {"€ euro euros eur": 1.0},
    "sterling": {"£ gbp": 1.0},
    "warmth": {"°c celsius": 1.0, "°f fahrenheit": 1 / 1.8, "°k kelvin": 1.0},
    "data": {
        "kb kilobyte kilobytes": 1e3,
        "mb megabyte megabytes": 1e6,
        "gb gigabyte gigabytes": 1e9,
        "tb terabyte terabytes": 1e12,
        "byte bytes": 1.0,
    },
    "speed": {"km/h kph kmh": 1.0, "mph": 1.609344, "m/s": 3.6},
}
"""The base units that each unit is, by dimension. A name of several words stands between bars."""
UNITS: dict[str, tuple[str, float]] = {
    name: (dimension, factor)
    for dimension, units in DIMENSIONS.items()
    for names, factor in units.items()
    for part in (names.partition("|"),)
    for name in (*part[0].split(), *filter(None, part[2].split("|")))
}
"""The dimension of a unit and how many base units it is."""
ZEROS = {"°f": 32.0, "fahrenheit": 32.0, "°k": 273.15, "kelvin": 273.15}
"""What is taken off a value before it is converted, for scales that begin elsewhere."""
