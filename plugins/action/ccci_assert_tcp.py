from ccci.probing import ProbeAction as ActionModule  # noqa: F401 - Ansible looks for this name
