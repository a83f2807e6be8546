# SPDX-License-Identifier: MIT
"""All of the page can be reached by keyboard, and is there for those who do not see it."""

from pages import check, until

TAB = ("Tab", 9)

FOCUSED = """(() => {
    const node = document.activeElement;
    const shown = node.matches('.segments input') ? node.nextElementSibling : node;
    window.order = window.order || [...document.querySelectorAll('*')];
    return {at: window.order.indexOf(node), tag: node.tagName, id: node.id,
            text: (node.textContent || node.value || '').slice(0, 40),
            visible: getComputedStyle(shown).outlineStyle !== 'none'};
})()"""
# Of radio buttons of one name the chosen one is reached; what is folded away is not.
REACHABLE = """(() => {
    const shown = (n) => n.checkVisibility() && n.getClientRects().length > 0;
    const all = document.querySelectorAll(
        'a[href], button, select, summary, input, [tabindex="0"]');
    return [...all].filter((n) => shown(n) && (n.type !== 'radio' || n.checked))
        .map((n) => [...document.querySelectorAll('*')].indexOf(n));
})()"""


def test_keyboard(browser, page):
    browser.window(1280, 800)
    browser.open(page)
    reachable = browser.ask(REACHABLE)
    visited = []
    for _ in range(len(reachable) + 5):
        browser.key(*TAB)
        now = browser.ask(FOCUSED)
        if now["tag"] == "BODY" or now["at"] in visited:
            break
        check(now["visible"], f"the focus cannot be seen on {now}")
        visited.append(now["at"])
    check(
        visited == reachable,
        f"by Tab {len(visited)} of {len(reachable)} are reached, or in another order",
    )
    browser.ask("document.querySelector('.skip').focus()")
    browser.key("Enter", 13)
    check(
        browser.ask("document.activeElement.id") == "main",
        "the skip link does not lead to the results",
    )

    arms = "Chart.getChart(document.querySelector('#sweeps canvas')).data.datasets.length"
    browser.ask("document.querySelector('#sweeps').scrollIntoView({behavior: 'instant'})")
    until(browser, "Chart.getChart(document.querySelector('#sweeps canvas')) !== undefined")
    before = browser.ask(arms)
    browser.ask("document.querySelector('#sweeps .arms input').focus()")
    browser.key(" ", 32)
    check(browser.ask(arms) == before - 1, "an arm cannot be left out by keyboard")
    browser.key(" ", 32)
    check(browser.ask(arms) == before, "an arm does not come back")
    browser.ask("document.querySelector('#sweeps summary').focus()")
    browser.key("Enter", 13)
    check(
        browser.ask("document.querySelector('#sweeps details').open"),
        "a table does not unfold by keyboard",
    )
    link = "document.querySelector('#side-figures tbody tr:last-child a')"
    browser.ask(f"{link}.focus()")
    browser.key("Enter", 13)
    check(
        until(browser, "[...document.querySelectorAll('.workload')].pop().open"),
        "a link to a workload does not open it",
    )


STRUCTURE = """(() => {
    const ids = [...document.querySelectorAll('[id]')].map((n) => n.id);
    const refs = [...document.querySelectorAll('[aria-labelledby], [aria-details]')]
        .flatMap((n) => [n.getAttribute('aria-labelledby'), n.getAttribute('aria-details')])
        .filter(Boolean);
    const links = [...document.querySelectorAll('a[href^="#"]')].map((a) => a.hash.slice(1));
    const levels = [...document.querySelectorAll('h1, h2, h3, h4')]
        .map((n) => Number(n.tagName[1]));
    const tables = [...document.querySelectorAll('table')];
    return {
        twice: ids.filter((id, i) => ids.indexOf(id) !== i),
        nowhere: [...refs, ...links].filter((id) => !document.getElementById(id)),
        skipped: levels.filter((level, i) => level > (levels[i - 1] || 0) + 1),
        tops: levels.filter((level) => level === 1).length,
        uncaptioned: tables.filter((t) => !t.caption || !t.caption.textContent).length,
        unscoped: document.querySelectorAll('th:not([scope])').length,
        rowless: tables.filter((t) =>
            [...t.tBodies[0].rows].some((r) => r.cells[0].scope !== 'row')).length,
        silent: [...document.querySelectorAll('canvas, svg.map')]
            .filter((c) => !c.hasAttribute('aria-details') &&
                           !c.closest('figure').querySelector('details table')).length,
    };
})()"""


def test_structure(browser, page):
    browser.window(1280, 800)
    browser.open(page)
    found = browser.ask(STRUCTURE)
    check(found.pop("tops") == 1, "not one heading above all")
    for name, wrong in found.items():
        check(not wrong, f"structure: {name}: {wrong}")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = [
        (n.get("role", {}).get("value"), n.get("name", {}).get("value"))
        for n in nodes
        if not n.get("ignored")
    ]
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        check(sum(role == landmark for role, _ in roles) == 1, f"not one landmark {landmark}")
    # Chromium's tree says "image" where the page says "img".
    nameless = [
        role
        for role, name in roles
        if role
        in ("image", "img", "link", "button", "checkbox", "radio", "combobox", "table", "region")
        and not name
    ]
    check(not nameless, f"without a name: {nameless}")
