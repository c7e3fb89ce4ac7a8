"""The report page in a real browser: it opens from the disk, filters, shows a diff, and sends nothing."""

import base64
import json

import pytest

pytestmark = [pytest.mark.server("chromium"), pytest.mark.timeout(120)]

HOSTILE = "<img src=x onerror=document.title='caught'>"
READY = "return document.documentElement.dataset.ready || document.getElementById('trouble').textContent"


@pytest.fixture
def page(capa, project):
    """The address of the page of a project that holds hostile names and code, and an unserved call."""
    (project / "app" / f"{HOSTILE}.py").write_text(f'import requests\n\nx = "</script>{HOSTILE}"\n')
    (project / "app/cache.py").write_text("import redis\n\nredis.Redis(host='x')\n")
    capa("scan", project)
    (project / "app/more.py").write_text("import requests\n\nrequests.post('u', proxies=1)\n")
    capa("report", project)
    return (project / ".capa-migrate/report.html").as_uri()


@pytest.fixture
def show(page):
    """Return a way to open the page in a browser and wait until it is drawn."""

    def run(browser, fragment=""):
        browser.get("about:blank")  # an address that differs in its fragment alone is not loaded again
        browser.get(f"{page}{fragment}")
        assert "true" == wait(browser, lambda one: one.execute_script(READY))
        return browser

    return run


def wait(browser, condition):
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 20).until(condition)


def texts(browser, selector):
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText.trim())", selector
    )


def click(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def shapes(browser):
    return texts(browser, "#shapes-table summary")


def test_it_opens_without_an_error_or_a_request(show, browser):
    browser.get_log("browser"), browser.get_log("performance")
    show(browser)
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"
    }

    assert [] == browser.get_log("browser")
    assert {"file", "data"} >= {address.partition(":")[0] for address in asked}


def test_the_three_numbers_stand_on_top(show, browser):
    assert ["Call sites", "Movable", "Proven"] == texts(show(browser), ".numbers dt")
    assert ["11", "9", "5"] == texts(browser, ".numbers .number")


def test_hostile_names_and_code_are_shown_and_do_nothing(show, browser):
    show(browser, f"#file=app/{HOSTILE.replace('=', '%3D')}.py")

    assert [f"app/{HOSTILE}.py"] == texts(browser, ".shown h3")
    assert f'x = "</script>{HOSTILE}"' in texts(browser, ".diff td.now")
    assert "project · Capa migration report" == browser.title


def test_text_filters_the_shapes_and_stays_in_the_address(show, browser):
    from selenium.webdriver.common.by import By

    show(browser).find_element(By.ID, "q").send_keys("proxies")

    assert ["requests.post(*, proxies=)"] == shapes(browser)
    assert browser.current_url.endswith("#q=proxies")
    assert "1 call site in 1 shape, of 11" == texts(browser, "#count")[0]


def test_an_address_with_a_filter_shows_the_same_again(show, browser):
    show(browser, "#sdk=redis&support=none")

    assert ["import of redis", "redis.Redis(host=)"] == sorted(shapes(browser))
    assert "redis" == browser.execute_script("return document.getElementById('sdk').value")


def test_a_path_narrows_a_shape_down_to_its_places(show, browser):
    show(browser, "#q=app/more.py")
    click(browser, "#shapes-table summary")

    assert ["app/more.py:1"] == texts(browser, ".places li")
    assert "2 call sites in 2 shapes, of 11" == texts(browser, "#count")[0]


def test_reason_links_to_its_documentation(show, browser, project, capa):
    (project / "app/vendored.py").write_text("import requests\n\nrequests.packages.urllib3\n")
    capa("report", project)
    show(browser, "#q=packages")
    click(browser, "#shapes-table .reason a")

    assert ["Requests: Names"] == texts(browser, "#shapes-table .reason a")
    assert "Requests: Names" == browser.execute_script(
        "return document.activeElement.querySelector('h3').textContent"
    )
    assert "`" not in texts(browser, "#explanations")[0]


def test_the_filter_is_cleared_with_one_button(show, browser):
    show(browser, "#q=nothing-like-it&sdk=celery")
    none = shapes(browser)
    click(browser, "#clear")

    assert [] == none
    assert 9 == len(shapes(browser))
    assert browser.current_url.endswith("report.html#")


def test_an_sdk_of_the_inventory_chooses_its_shapes(show, browser):
    show(browser)
    click(browser, "#inventory-table tbody th button")

    assert {"requests"} == set(texts(browser, "#shapes-table td:nth-child(2)"))


def test_a_file_shows_its_diff_with_its_proof(show, browser):
    show(browser)
    click(browser, '[data-key="app/api.py"]')

    assert ["app/api.py"] == texts(browser, ".shown h3")
    assert "✓ Proven · to write · 1 edit by imports" == texts(browser, ".shown header p")[0]
    assert ["import requests"] == texts(browser, ".diff .edit td.old:not(.at)")
    assert ["import capa_requests as requests"] == texts(browser, ".diff .edit td.now:not(.at)")
    assert [64, 64] == [len(digest) for digest in texts(browser, ".digests code")]


def test_a_file_that_was_changed_twice_shows_both_changes(capa, project, show, browser):
    capa("migrate", "apply", project)
    (project / "app/api.py").write_text("import requests\n\nimport capa_requests\n")
    capa("report", project)
    show(browser)
    click(browser, '[data-key="app/api.py (again)"]')

    assert "✓ Proven · written · 1 edit by imports" == texts(browser, ".shown header p")[0]
    assert "true" == browser.execute_script(
        "return document.querySelector('[data-key=\"app/api.py (again)\"]').ariaCurrent"
    )


def test_progress_is_drawn_and_tabulated(show, browser):
    show(browser)
    rows = texts(browser, "#progress tbody tr")

    assert 1 == browser.execute_script("return document.querySelectorAll('#progress svg[role=img]').length")
    assert ["report", "scan"] == [row.split("\t")[1] for row in rows]


def test_the_theme_follows_the_system_until_it_is_chosen_and_is_then_remembered(show, open_browser):
    theme = "return document.documentElement.dataset.theme"
    browser = show(open_browser(dark=True))
    preferred = browser.execute_script(theme)
    click(browser, "#theme")
    chosen = browser.execute_script(theme)

    assert ["dark", "light"] == [preferred, chosen]
    # The browser puts away what a page stores a moment later: the next page may open before that.
    assert wait(browser, lambda one: show(one).execute_script(theme) == "light")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_screen_and_its_drawing_can_be_read(show, open_browser, width):
    browser = show(open_browser(width=width, height=800))
    widths = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    heights = (
        "return [...document.querySelectorAll('svg text')].map((one) => one.getBoundingClientRect().height)"
    )

    assert [width, width] == browser.execute_script(widths)
    assert 10 < min(browser.execute_script(heights))


def test_the_links_to_the_sections_stay_in_sight(show, browser):
    show(browser)
    browser.execute_script("scrollTo(0, document.body.scrollHeight)")
    top = "return document.querySelector('nav a').getBoundingClientRect().top"

    assert wait(browser, lambda one: one.execute_script("return scrollY") > 0)
    assert 0 < browser.execute_script(top) < 100


def test_a_table_that_scrolls_on_a_phone_has_a_sign_until_its_end(show, open_browser):
    browser = show(open_browser(width=390, height=800))
    before = browser.execute_script(SIGN)
    browser.execute_script("document.getElementById('inventory-table').scrollLeft = 10000")

    assert [True, "More to the right: scroll to the side →", "region", 0] == before
    assert wait(browser, lambda one: one.execute_script(SIGN) == [False, "", "region", 0])


def test_a_table_that_fits_has_no_sign(show, browser):
    assert [False, "", None, -1] == show(browser).execute_script(SIGN)


def test_a_link_to_a_section_is_kept_in_the_address_and_leads_there(show, browser):
    show(browser)
    click(browser, 'nav a[href="#changes"]')
    address = browser.current_url
    show(browser, "#" + address.partition("#")[2])

    assert address.endswith("#changes")
    assert "changes" == browser.execute_script("return document.activeElement.id")
    assert 0 < browser.execute_script("return scrollY")


def test_a_link_to_a_section_keeps_the_filter(show, browser):
    show(browser, "#sdk=redis")
    click(browser, '#findings > a[href="#findings"]')

    assert browser.current_url.endswith("#sdk=redis&at=findings")
    assert {"redis"} == set(texts(browser, "#shapes-table tr:not(.why) td:nth-child(2)"))


def test_a_link_to_a_file_leads_to_its_diff(show, browser):
    show(browser, "#file=app/more.py")

    assert "shown" == browser.execute_script("return document.activeElement.id")
    assert ["app/more.py"] == texts(browser, ".shown h3")
    assert "#file=app%2Fmore.py" == browser.execute_script(
        "return document.querySelector('.shown .anchor').getAttribute('href')"
    )


def test_a_place_in_a_changed_file_links_to_its_diff(show, browser):
    show(browser, "#q=app/more.py")
    click(browser, "#shapes-table summary")
    click(browser, "#shapes-table .places a")

    assert ["app/more.py"] == texts(browser, ".shown h3")
    assert browser.current_url.endswith("file=app%2Fmore.py")


def test_a_place_in_a_file_that_stays_has_no_link(show, browser):
    show(browser, "#sdk=redis")
    click(browser, "#shapes-table summary")

    assert (["app/cache.py:1"], []) == (
        texts(browser, "#shapes-table .places li"),
        texts(browser, "#shapes-table .places a"),
    )


def test_a_reason_of_many_shapes_is_written_once(show, browser):
    show(browser, "#sdk=redis")

    assert ["2 shapes of redis: There is no capa_redis yet."] == texts(browser, "#shapes-table .reason")


def test_a_finding_at_many_places_is_one_row(capa, project, show, browser):
    for name in ("one", "two"):
        (project / f"app/{name}.py").write_text("import requests.foo\n")
    capa("report", project)
    show(browser)
    rows = [row for row in texts(browser, "#findings-table tbody tr") if "requests.foo" in row]
    click(browser, "#findings-table summary")

    assert 1 == len(rows)
    assert ["app/one.py:1", "app/two.py:1"] == texts(browser, "#findings-table details li")


def test_lists_in_explanations_have_bullets(show, browser):
    show(browser).execute_script(
        "document.getElementById('explanations-list').append(make('article', {}, block({kind: 'list', items: ['a']})))"
    )

    assert "disc" == browser.execute_script(
        "return getComputedStyle(document.querySelector('#explanations article li')).listStyleType"
    )


@pytest.mark.parametrize("width", [390, 1280])
def test_a_tree_without_an_sdk_is_told_so_in_each_section(capa, tmp_path, open_browser, width):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/a.py").write_text("import os\n")
    capa("report", tmp_path / "empty")
    browser = open_browser(width=width)
    browser.get((tmp_path / "empty/.capa-migrate/report.html").as_uri())
    assert "true" == wait(browser, lambda one: one.execute_script(READY))

    assert [
        (
            "No known SDK is used in 1 file of Python. "
            "If you miss one, look whether its folder is excluded, or ignored by git."
        ),
        "No SDK is imported, called or used.",
        "No call site asks for a particular ability: every engine will do.",
        "No file would change, and none has been changed.",
        "Nothing was left for you to decide.",
        (
            "No run has been recorded. "
            "A scan of a whole, writable tree that uses an SDK adds its numbers to .capa-migrate/history."
        ),
    ] == texts(browser, "main section:not([hidden]) p.muted:not([hidden])")
    assert 0 == browser.execute_script(
        "return [...document.querySelectorAll('.lead, #filter, #count, #whole')]"
        ".filter((one) => one.offsetHeight).length"
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_to_its_background(show, browser, theme):
    """WCAG 2.2 AA: 4.5 to 1."""
    show(browser, "#sdk=requests").execute_script(
        "document.documentElement.dataset.theme = arguments[0]", theme
    )
    faint = browser.execute_script(CONTRAST)

    assert [] == faint


def test_it_can_be_used_by_keyboard_alone(show, browser):
    """Tab goes from the skip link through all controls, and each shows its focus."""
    from selenium.webdriver.common.keys import Keys

    show(browser)
    seen = []
    for _ in range(12):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(browser.execute_script(FOCUS))

    assert "Skip to the report" == seen[0][0]
    assert "Overview" in [text for text, _ in seen]
    assert {"solid"} == {outline for _, outline in seen}


def test_every_part_has_a_name_for_screen_readers(show, browser):
    show(browser)
    parts = ("main", "nav[aria-label]", "main > section[aria-labelledby]")
    counts = [browser.execute_script(f"return document.querySelectorAll('{part}').length") for part in parts]

    assert [1, 1, 8] == counts
    assert [] == browser.execute_script(NAMELESS)


def test_it_prints_dark_on_white(show, browser):
    show(browser).execute_script("document.documentElement.dataset.theme = 'dark'")
    done = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    hidden = browser.execute_script(
        "return ['nav', '#filter', '#theme'].map((one) => getComputedStyle(document.querySelector(one)).display)"
    )
    faint = browser.execute_script(CONTRAST)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})

    assert base64.b64decode(done["data"]).startswith(b"%PDF")
    assert ["none"] * 3 == hidden
    assert [] == faint


SIGN = """
const part = document.getElementById("inventory-table");
const hint = part.nextElementSibling;
const said = getComputedStyle(hint).display === "none" ? "" : hint.innerText;
return [part.hasAttribute("data-more"), said, part.getAttribute("role"), part.tabIndex];
"""

FOCUS = "const one = document.activeElement; return [one.innerText, getComputedStyle(one).outlineStyle]"

NAMELESS = """
const named = (one) => (one.innerText || one.ariaLabel || one.getAttribute("aria-label") || one.labels?.length || "");
return [...document.querySelectorAll("button, input, select, a, svg, [role=region], [role=group]")]
    .filter((one) => !named(one) && !one.hidden).map((one) => one.outerHTML.slice(0, 80))
    .concat([...document.querySelectorAll("table")].filter((one) => !one.caption).map(() => "a table"));
"""

CONTRAST = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
const ground = (one) => {
    for (; one; one = one.parentElement) {
        const colour = numbers(getComputedStyle(one).backgroundColor);
        if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
};
const faint = [];
for (const one of document.querySelectorAll("body *")) {
    const text = [...one.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!text || !one.checkVisibility() || one.disabled) continue;
    const [a, b] = [light(numbers(getComputedStyle(one).color)), light(ground(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${one.tagName} ${one.className} ${one.textContent.slice(0, 30)}`);
}
return faint;
"""
