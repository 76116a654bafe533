"""One evaluation: verdict, rules, methods, agreement."""
