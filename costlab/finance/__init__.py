"""What a bill means to those who pay it: months, terms, actuals and FOCUS rows."""

from costlab.finance.actuals import (
    InvoiceLine,
    of_month,
    of_replay,
    read,
    read_focus,
    read_invoices,
)
from costlab.finance.causes import FACTORS, Tally, Variance, VarianceLine, tallies, variance
from costlab.finance.charges import VIEWS, Charge, Item, View, flat, priced, total
from costlab.finance.epochs import Epoch, Event
from costlab.finance.money import USD, Currency, Fiscal, Rate, fiscal, share_out, whole
from costlab.finance.monthly import MOST_MONTHS, Month, Months, months
from costlab.finance.terms import (
    Balance,
    Correction,
    Credit,
    Launch,
    Owned,
    Reserved,
    Terms,
    month_of,
    read_terms,
)

__all__ = [
    "FACTORS",
    "MOST_MONTHS",
    "USD",
    "VIEWS",
    "Balance",
    "Charge",
    "Correction",
    "Credit",
    "Currency",
    "Epoch",
    "Event",
    "Fiscal",
    "InvoiceLine",
    "Item",
    "Launch",
    "Month",
    "Months",
    "Owned",
    "Rate",
    "Reserved",
    "Tally",
    "Terms",
    "Variance",
    "VarianceLine",
    "View",
    "fiscal",
    "flat",
    "month_of",
    "months",
    "of_month",
    "of_replay",
    "priced",
    "read",
    "read_focus",
    "read_invoices",
    "read_terms",
    "share_out",
    "tallies",
    "total",
    "variance",
    "whole",
]
