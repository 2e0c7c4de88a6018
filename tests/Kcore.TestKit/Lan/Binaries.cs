namespace Kcore.TestKit.Lan;

/// <summary>The programs under test.</summary>
public static class Binaries
{
    /// <summary>Directory that overrides <c>out/bin</c> of the repository.</summary>
    public const string Variable = "KCORE_BIN";

    public static string Daemon => Find("kcored");

    public static string Ctl => Find("kctl");

    private static string Find(string name)
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } directory)
        {
            string chosen = Path.Combine(directory, name);
            return File.Exists(chosen)
                ? chosen
                : throw new FileNotFoundException($"{Variable}={directory} holds no {name}");
        }

        for (DirectoryInfo? d = new(AppContext.BaseDirectory); d is not null; d = d.Parent)
        {
            string candidate = Path.Combine(d.FullName, "out", "bin", name);
            if (File.Exists(candidate))
            {
                return candidate;
            }
        }

        throw new FileNotFoundException($"No out/bin/{name} above {AppContext.BaseDirectory}: run ./dev build, or set {Variable}.");
    }
}
