"""Labels become classes in the form in which accuracy compares them."""

from __future__ import annotations

from services.grader.media.labels import Classes, OpenClasses


def test_the_classes_of_a_key_are_numbered_by_name_in_the_form_of_accuracy() -> None:
    classes = Classes(["Zebra", "traffic  light", "zebra.", "Ape"])

    found = classes.numbers(["APE", '"Traffic light"', " zebra ", "ＺＥＢＲＡ", "dog", ""])

    assert found.tolist() == [1, 2, 3, 3, 4, 4]
    assert classes.unknown == 4


def test_a_key_without_names_has_one_class_that_every_label_means() -> None:
    assert Classes(["", " ", ""]).numbers(["", "crack", "dog"]).tolist() == [1, 1, 1]
    assert Classes(["", "dog"]).numbers(["", "crack", "dog"]).tolist() == [1, 3, 2]
    assert Classes([]).numbers(["dog"]).tolist() == [1]


def test_invented_classes_can_be_told_apart() -> None:
    classes = OpenClasses(["sky", "road"])

    assert classes.numbers(["dog", "Sky", "cat", "DOG", "road"]).tolist() == [3, 2, 4, 3, 1]
