"""What the tests of pages share: Debian's chromium, driven by selenium, with a camera that is none. 77 (skipped) without."""
import shutil
import sys

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
try:
    from axe_core_python.selenium import Axe
    from selenium import webdriver
    from selenium.webdriver.common.by import By
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)
if not BROWSER or not DRIVER:
    print("skipped: there is no chromium or no chromedriver")
    sys.exit(77)

HOSTILE = "<img src=x onerror=\"document.title='read as HTML'\">"


class InBrowser:
    """Beside a TestCase: self.browser, one for all of its tests."""

    @classmethod
    def setUpClass(cls):
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900",
                     "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()

    def size(self, width, dark=False):
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})

    def all(self, selector, within=None):
        return (within or self.browser).find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector, within=None):
        return (within or self.browser).find_element(By.CSS_SELECTOR, selector)

    def serious(self):
        """What axe-core finds to keep people out of the page as it is now."""
        return [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in Axe().run(self.browser)["violations"]
                if one["impact"] in ("serious", "critical")]
