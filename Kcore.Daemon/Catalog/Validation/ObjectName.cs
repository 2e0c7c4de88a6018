using Kcore.Contracts;

namespace Kcore.Daemon.Catalog.Validation;

/// <summary>Names people give to networks and NICs (behaviours 76, 77, 105, A18).</summary>
internal static class ObjectName
{
    public const int MaxLength = 63;

    /// <summary>
    /// Whether a name that came from another node is one <see cref="Check"/> lets through: it becomes a file's name and a
    /// word in a configuration.
    /// </summary>
    public static bool IsValid(string name) => name.Length is >= 1 and <= MaxLength && name.All(IsAllowed);

    /// <summary>Trims and checks a name; <paramref name="what"/> is "network" or "NIC".</summary>
    /// <exception cref="RefusedException">InvalidArgument.</exception>
    public static string Check(string? text, string what)
    {
        string name = (text ?? "").Trim();
        if (name.Length == 0)
        {
            throw new RefusedException(ErrorCode.InvalidArgument, $"{what} name is required");
        }

        if (name.Length > MaxLength)
        {
            throw new RefusedException(ErrorCode.InvalidArgument, $"{what} name is longer than {MaxLength} characters", [$"length: {name.Length}"]);
        }

        foreach (char c in name)
        {
            if (!IsAllowed(c))
            {
                throw new RefusedException(
                    ErrorCode.InvalidArgument,
                    $"{what} name may hold only letters, digits, '_' and '-'",
                    [$"found: U+{(int)c:X4}"]);
            }
        }

        return name;
    }

    private static bool IsAllowed(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '-';
}
