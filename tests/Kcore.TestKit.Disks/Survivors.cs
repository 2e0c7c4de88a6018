namespace Kcore.TestKit.Disks;

/// <summary>Which sectors and names that were written and not synced a power cut leaves on the disk.</summary>
public enum Survivors
{
    None,
    All,
    First,
    Last,
    Random,
}

/// <summary>The machine lost power.</summary>
public sealed class PowerCutException : Exception;
