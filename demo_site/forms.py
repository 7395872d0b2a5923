"""What a reader can send."""

from django import forms

from demo_site.models import Comment


class CommentForm(forms.ModelForm):
    """A comment under an article."""

    class Meta:
        model = Comment
        fields = ["name", "text"]
        widgets = {"text": forms.Textarea(attrs={"rows": 4})}
