namespace Kcore.SystemTests.Systemd;

/// <summary>The package under test: what <c>./dev deb</c> has left.</summary>
internal static class PackageFile
{
    /// <summary>File that overrides <c>out/kcore_*.deb</c> of the repository.</summary>
    public const string Variable = "KCORE_DEB";

    public static string Find()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } chosen)
        {
            return File.Exists(chosen) ? chosen : throw new FileNotFoundException($"{Variable}={chosen} does not exist");
        }

        for (DirectoryInfo? d = new(AppContext.BaseDirectory); d is not null; d = d.Parent)
        {
            string output = Path.Combine(d.FullName, "out");
            if (File.Exists(Path.Combine(d.FullName, "Kcore.sln")))
            {
                string[] found = Directory.Exists(output) ? Directory.GetFiles(output, "kcore_*.deb") : [];
                return found.Length == 1
                    ? found[0]
                    : throw new FileNotFoundException($"{found.Length} packages in {output}: run ./dev deb, or set {Variable}.");
            }
        }

        throw new FileNotFoundException($"No repository above {AppContext.BaseDirectory}: set {Variable}.");
    }
}
