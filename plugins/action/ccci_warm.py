from ccci.actions import ModuleAction as ActionModule  # noqa: F401 - Ansible looks for this name
