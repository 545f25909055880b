"""The catalog's promises: a version never changes, numbers go on by themselves, names keep their id."""

# ruff: noqa: D102 -- the name of a test is its sentence

from __future__ import annotations

import msgspec
import pytest

from taskengine.errors import ConflictError
from taskengine.testing.conformance.samples import NewStore, opened, workflow

__all__ = ["CatalogContract"]


class CatalogContract:
    """``Catalog``."""

    async def test_a_version_is_kept_as_given(self, new_store: NewStore) -> None:
        given = workflow("orders", version="1.4", document=b'{"name":"\xc3\xa9"}', source="/srv/flows", created_at=7)
        async with opened(new_store) as store, opened(new_store) as other:
            assert await store.put_workflow(given) == given
            assert await other.workflow("orders", "1.4") == given
            assert await other.workflow("wf_orders", "1.4") == given

    async def test_what_is_not_there_is_none(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.put_workflow(workflow("orders", version="1"))
            assert await store.workflow("order", "1") is None
            assert await store.workflow("orders", "2") is None
            assert await store.workflow("wf_other", "") is None

    async def test_the_same_document_again_is_the_version_already_there(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            first = await store.put_workflow(workflow("orders", version="1", created_at=1))
            again = await store.put_workflow(workflow("orders", version="1", created_at=2, source="elsewhere/"))
            assert again == first

    async def test_another_document_under_the_same_label_is_refused(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            first = await store.put_workflow(workflow("orders", version="1"))
            with pytest.raises(ConflictError) as refused:
                await store.put_workflow(workflow("orders", version="1", document=b"[]"))
            assert refused.value.name == "version_exists"
            assert await store.workflow("orders", "1") == first

    async def test_versions_without_a_label_are_numbered(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            documents = [b"a", b"a", b"b", b"b", b"a"]
            stored = [await store.put_workflow(workflow("orders", document=document)) for document in documents]
            assert [version.version for version in stored] == ["1", "1", "2", "2", "3"]

    @pytest.mark.parametrize(
        ("labels", "expected"), [(["1.4.2"], "2"), (["9", "10"], "11"), (["beta"], "1"), (["beta", "3"], "4"), (["0"], "1")]
    )
    async def test_the_next_number_is_above_the_newest_label(
        self, new_store: NewStore, *, labels: list[str], expected: str
    ) -> None:
        async with opened(new_store) as store:
            for label in labels:
                await store.put_workflow(workflow("orders", version=label, document=label.encode()))
            assert (await store.put_workflow(workflow("orders", document=b"new"))).version == expected

    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            (["1", "2"], "2"),
            (["2", "1"], "2"),
            (["9", "10"], "10"),
            (["1.9", "1.10"], "1.10"),
            (["1", "1.0"], "1.0"),
            (["3", "beta"], "3"),
            (["beta", "alpha"], "alpha"),
            (["1.x", "0"], "0"),
        ],
    )
    async def test_the_latest_is_the_highest_by_numbers_then_by_time(
        self, new_store: NewStore, *, labels: list[str], expected: str
    ) -> None:
        async with opened(new_store) as store:
            for at, label in enumerate(labels):
                await store.put_workflow(workflow("orders", version=label, document=label.encode(), created_at=at))
            found = await store.workflow("orders", "")
            assert found is not None
            assert found.version == expected
            assert [version.version for version in await store.workflows(limit=10)] == [expected]

    async def test_versions_of_a_name_share_the_first_ones_id(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.put_workflow(workflow("orders", workflow_id="wf_first", document=b"a"))
            second = await store.put_workflow(workflow("orders", workflow_id="wf_second", document=b"b"))
            assert second.workflow_id == "wf_first"
            assert await store.workflow("wf_first", "") == second
            assert await store.workflow("wf_second", "") is None

    async def test_lists_hold_the_latest_of_each_by_name(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            for name in ("pears", "apples", "quinces"):
                for document in (b"a", b"b"):
                    await store.put_workflow(workflow(name, document=document))
            found = [(version.name, version.version) for version in await store.workflows(limit=10)]
            assert found == [("apples", "2"), ("pears", "2"), ("quinces", "2")]
            assert [version.name for version in await store.workflows(limit=2)] == ["apples", "pears"]

    async def test_the_versions_of_a_workflow_are_listed_latest_first(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.put_workflow(workflow("pears", version="7", document=b"p"))
            for at, label in enumerate(("1.9", "beta", "1.10")):
                await store.put_workflow(
                    workflow("orders", workflow_id="wf_orders", version=label, document=label.encode(), created_at=at)
                )
            found = await store.versions("orders")
            assert [one.version for one in found] == ["1.10", "1.9", "beta"]
            assert [one.document for one in found] == [b"1.10", b"1.9", b"beta"]
            assert await store.versions("wf_orders") == found
            assert await store.versions("absent") == []

    async def test_a_document_of_any_bytes_comes_back(self, new_store: NewStore) -> None:
        given = msgspec.structs.replace(workflow("orders", version="1"), document=bytes(range(256)) * 1_024)
        async with opened(new_store) as store:
            await store.put_workflow(given)
            assert await store.workflow("orders", "1") == given
